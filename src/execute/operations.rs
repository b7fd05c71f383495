//! Lookups of recorded writes in the journal, limited to what the caller may see.

use tokio::time::{Instant, timeout_at};

use super::{RequestContext, failure, judge::Judge};
use crate::{
    catalogue::Catalogue,
    domain::{ChangeIpv4, Nic, OperationId, Resource},
    error::{Error, Problem},
    journal::{Filter, Journal, Page, Unreadable, View},
};

/// A lookup in the record of writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// One operation.
    One(OperationId),
    /// Several, newest first. The executor decides whose operations are listed and ignores the filter's
    /// caller.
    Several(Filter),
}

/// The result of a lookup. It holds nothing that the caller may not see.
#[derive(Debug)]
pub enum LookupResult {
    /// The one operation.
    One(Box<View>),
    /// The list.
    Several {
        /// Newest first.
        views: Vec<View>,
        /// The operation before which the next page begins, if there may be older ones.
        next: Option<OperationId>,
    },
}

/// One caller's lookup.
pub(super) struct OperationsReader<'a> {
    pub(super) journal: &'a Journal,
    pub(super) judge: Judge<'a>,
    pub(super) context: RequestContext<'a>,
}

impl OperationsReader<'_> {
    /// Looks up recorded writes.
    ///
    /// # Errors
    /// 404 if there is no such operation that the caller may see, or no journal; 503 if the journal cannot be
    /// read.
    pub(super) async fn look_up(&self, lookup: Lookup) -> Result<LookupResult, Error> {
        if !self.journal.is_on() {
            let detail = "the gateway keeps no journal (`journal.enabled` is off), so there are no \
                          operations to read";
            return Err(Error::new(Problem::NotFound, detail));
        }
        match lookup {
            Lookup::One(id) => {
                let found = self.find(id).await?;
                let view = found.ok_or_else(|| {
                    let detail = "there is no such operation, or it is not yours: \
                                  `GET /operations` lists those that you may see";
                    Error::new(Problem::NotFound, detail)
                })?;
                Ok(LookupResult::One(Box::new(self.shown(view))))
            }
            Lookup::Several(wanted) => self.list(wanted).await,
        }
    }

    /// The operation, if it exists and the caller may see it.
    async fn find(&self, id: OperationId) -> Result<Option<View>, Error> {
        let found = in_time(self.context.reads_until, self.journal.find(id)).await?;
        let caller = self.context.caller.id();
        Ok(found.filter(|view| view.caller == caller || self.judge.may_read_operations()))
    }

    async fn list(&self, wanted: Filter) -> Result<LookupResult, Error> {
        if let Some(id) = wanted.before {
            // A list must not start at another caller's operation: that would reveal that it exists.
            let start = self.find(id).await?;
            start.ok_or_else(|| {
                Error::invalid("`before` names no operation that you may see: take it from `next`")
            })?;
        }
        let everyone = self.judge.may_read_operations();
        let shown = wanted.limit;
        let filter = Filter {
            caller: (!everyone).then(|| self.context.caller.id().to_owned()),
            // One more than is shown, to find out whether there are more.
            limit: shown.saturating_add(1),
            ..wanted
        };
        let page = in_time(self.context.reads_until, self.journal.list(filter)).await?;
        let Page { mut views, searched_to } = page;
        let next = if views.len() > shown {
            views.truncate(shown);
            views.last().map(|view| view.id)
        } else {
            searched_to
        };
        let views = views.into_iter().map(|view| self.shown(view)).collect();
        Ok(LookupResult::Several { views, next })
    }

    /// The operation, without the stored vNIC unless the caller may see that vNIC.
    fn shown(&self, mut view: View) -> View {
        let nic = view.before.as_ref().and_then(|raw| Nic::parse(raw.clone()).ok());
        let named = |nic: &Nic| view.call.resources.contains(&Resource::nic(&nic.id));
        if !nic.is_some_and(|nic| named(&nic) && self.judge.may_see(&nic)) {
            view.before = None;
        }
        // This program does not know what the list of another version's call says.
        let known = Catalogue::in_use()
            .is_ok_and(|all| all.action(&view.call.api_version, &view.call.action).is_some());
        if !known && !self.judge.may_read_operations() {
            view.failed = None;
        }
        // Hides the same as the answer to the write did. That of another call hid nothing.
        let hides = |change: &ChangeIpv4| !self.judge.may_learn_of_absence(&change.nic);
        if view.code.as_deref() == Some(failure::NO_SUCH_NIC)
            && view.change.as_ref().map_or(!known, hides)
        {
            view.code = None;
        }
        view
    }
}

/// Waits for the journal, until the deadline at most.
///
/// # Errors
/// 503 if the journal cannot be read by then.
pub(super) async fn in_time<T>(
    deadline: Instant,
    reading: impl Future<Output = Result<T, Unreadable>>,
) -> Result<T, Error> {
    let unreadable = || {
        let detail = "the journal cannot be read at the moment; nothing was changed, try again, \
                      and tell the gateway's operators if the problem persists";
        Error::new(Problem::JournalUnavailable, detail)
    };
    let read = timeout_at(deadline, reading).await;
    let read = read.map_err(|error| unreadable().with_cause(error))?;
    read.map_err(|error| unreadable().with_cause(error))
}
