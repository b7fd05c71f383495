//! A search for vNICs. The gateway reads ZEC's list page by page, and decides on each vNIC by itself.

use std::collections::HashSet;

use super::{Done, Executor, RequestContext, failure, judge::Judge, record};
use crate::{
    domain::{Action, Cursor, Denial, Denied, FindNics, Resource},
    error::Error,
    metrics::Decision,
    policy::Shown,
    zec::{NICS_OF_A_PAGE, NicPage},
};

/// The most pages that one search reads. A caller goes on with the answer's cursor.
const MOST_PAGES: u32 = 10;

/// What a search found.
#[derive(Debug)]
pub struct FoundNics {
    /// The vNICs that the caller may see and that pass the filter, in ZEC's order.
    pub nics: Vec<Shown>,
    /// How many vNICs that the caller may see were looked at.
    pub examined: usize,
    /// Where to go on; `None` at the end of the list.
    pub next: Option<Cursor>,
    /// Whether some vNIC was left out because it could not be read.
    pub left_out: bool,
}

impl Executor {
    /// Looks for vNICs. Those that the caller may not see are left out.
    pub(super) async fn find(
        &self,
        find: FindNics,
        context: RequestContext<'_>,
    ) -> Result<Done, Error> {
        let (action, judge) =
            (Action::DescribeNetworkInterfaces.name(), self.decider.judge(context));
        if !judge.engine.may_see_some_nic(context.caller) {
            let nothing = Denied {
                address: None,
                resource: Resource::account(),
                policies: Vec::new(),
                failed: Vec::new(),
            };
            return Err(judge.denied(action, &Denial { denied: vec![nothing] }));
        }
        let mut found =
            FoundNics { nics: Vec::new(), examined: 0, next: Some(find.start), left_out: false };
        let mut seen = HashSet::new();
        let last = find.start.page.saturating_add(MOST_PAGES);
        while let Some(at) = found.next
            && at.page < last
            && found.nics.len() < find.limit
        {
            let NicPage { nics, total } = match self.page(&judge, &find, at.page).await {
                // What was found is shown, and the caller goes on from there.
                Err(_) if at != find.start => break,
                page => page?,
            };
            let full = nics.len();
            let mut next = at.page.checked_add(1).map(|page| Cursor { page, skip: 0 });
            let skip = usize::try_from(at.skip).unwrap_or(usize::MAX);
            for (place, nic) in nics.into_iter().enumerate().skip(skip) {
                if found.nics.len() == find.limit {
                    next = u32::try_from(place).ok().map(|skip| Cursor { page: at.page, skip });
                    break;
                }
                found.left_out |= nic.is_none();
                // A vNIC that is made or deleted meanwhile moves others to another page.
                if let Some(nic) = nic
                    && seen.insert(nic.id.clone())
                    && let Some(permit) = judge.permit_to_see(&nic)
                    && let Ok(shown) = permit.show(nic)
                {
                    found.examined += 1;
                    found.nics.extend(find.filter.passes(shown.nic()).then_some(shown));
                }
            }
            let is_last =
                full < NICS_OF_A_PAGE || u64::from(at.page) * NICS_OF_A_PAGE as u64 >= total;
            found.next = next.filter(|next| !is_last || next.page == at.page);
        }
        self.decider.metrics.decided(action, Decision::Allow);
        context.record.note(|facts| facts.decision = Some("allow"));
        Ok(Done::Found(found))
    }

    async fn page(&self, judge: &Judge<'_>, find: &FindNics, page: u32) -> Result<NicPage, Error> {
        if page != find.start.page {
            judge.context.count_further_reads(judge.limits()).await?;
        }
        let context = judge.context;
        let (record, after) = (context.record, context.record.elapsed());
        let (caller, until) = (context.caller.id(), context.reads_until);
        let reader = &self.decider.reader;
        let read = Box::pin(reader.nics(caller, &find.filter, page, until)).await;
        let action = Action::DescribeNetworkInterfaces.name();
        record::called(record, action, after, None, read.as_ref().err());
        read.map_err(|failure| failure::of_a_read(&failure))
    }
}
