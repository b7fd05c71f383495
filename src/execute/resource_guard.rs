//! Guards of calls that have no outcome yet, by the resources that they name.
//!
//! While a call on a resource has no outcome, nobody may make the same call on it, nor any destructive one. A resource that a
//! call only refers to, such as the VPC of a new subnet, waits for destructive calls alone. As with the guards of
//! addresses, only an outcome releases a call that may have been sent.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    catalogue::{ActionRow, Effect, Proof, ResourceType},
    domain::{NicId, OperationId, Resource},
    error::{Error, Extra, Problem},
    mutex::lock,
};

/// Seconds after which a caller may ask again: about as long as a write takes.
const RETRY_AFTER: u32 = 5;

/// How long ZEC may still work on a call that it answered. Until then, what ZEC shows may be that call's effect.
const LATE: Duration = Duration::from_mins(15);

/// How many calls are remembered for that time. If there are more, what ZEC shows proves nothing for as long.
const MAX_REMEMBERED: usize = 10_000;

/// The resources that calls hold. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct ResourceGuards(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    /// The calls that hold something, by number.
    calls: HashMap<u64, HeldCall>,
    /// Each held resource with the numbers of the calls that hold it.
    held: HashMap<Resource, Vec<u64>>,
    next: u64,
    late: LateEffects,
}

/// The calls whose effect may still come, of actions whose outcome ZEC may prove.
#[derive(Debug, Default)]
struct LateEffects {
    /// Each action on a resource, with the time at which it had an outcome.
    calls: HashMap<(String, Resource), Instant>,
    /// There were too many of them.
    full: Option<Instant>,
}

#[derive(Debug)]
struct HeldCall {
    action: String,
    row: Option<&'static ActionRow>,
    caller: String,
    operation: Option<OperationId>,
}

/// A call that wants to hold its resources.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) action: &'a str,
    /// The action's row; `None` for an action of an earlier run that the gateway does not know.
    pub(super) row: Option<&'static ActionRow>,
    pub(super) resources: &'a [Resource],
    pub(super) caller: &'a str,
}

/// The types of the resources that a call changes; the others it only refers to. None if it creates, or if nothing says which
/// it changes.
fn changed_by(row: Option<&'static ActionRow>) -> &'static [ResourceType] {
    row.map(ActionRow::types_of_the_changed).unwrap_or_default()
}

/// Whether ZEC may prove the outcome of a call.
fn is_provable(row: Option<&ActionRow>) -> bool {
    row.is_some_and(|row| row.proof != Proof::Nothing)
}

fn is_of(types: &[ResourceType], resource: &Resource) -> bool {
    types.iter().any(|kind| kind.as_str() == resource.kind)
}

/// Holds the resources of one call.
#[derive(Debug)]
pub(super) struct ResourceGuard {
    guards: ResourceGuards,
    number: u64,
    resources: Vec<Resource>,
    sent: bool,
    /// Whether what ZEC shows may be the effect of an earlier call of the same action.
    after_another: bool,
}

impl ResourceGuards {
    /// Holds the resources of a call.
    ///
    /// # Errors
    /// 409 `operation-in-progress` if the same call on one of them has no outcome, or any call if this one is destructive.
    pub(super) fn claim(&self, wanted: Wanted<'_>) -> Result<ResourceGuard, Error> {
        let mut book = self.lock();
        // Nothing says how destructive a call of an unknown action is.
        let destructive = wanted.row.is_none_or(|row| row.effect == Effect::Destructive);
        for resource in wanted.resources {
            let changes = |row| is_of(changed_by(row), resource);
            let same = |one: &HeldCall| {
                one.action == wanted.action && changes(wanted.row) && changes(one.row)
            };
            let mut clashes = book.calls_on(resource).filter(|one| destructive || same(one));
            if let Some(earlier) = clashes.next() {
                return Err(clash(resource, earlier, wanted.caller));
            }
        }
        let (number, resources) = (book.hold(wanted, None), wanted.resources.to_vec());
        let after_another = is_provable(wanted.row) && book.late.may_come(wanted);
        drop(book);
        Ok(ResourceGuard { guards: self.clone(), number, resources, sent: false, after_another })
    }

    /// Holds the resources of an earlier run's call, which may have been sent.
    pub(super) fn hold(&self, wanted: Wanted<'_>, operation: OperationId) -> ResourceGuard {
        let (number, resources) =
            (self.lock().hold(wanted, Some(operation)), wanted.resources.to_vec());
        ResourceGuard { guards: self.clone(), number, resources, sent: true, after_another: true }
    }

    /// Remembers a call of an earlier run that had an outcome: its effect may still come.
    pub(super) fn remember(&self, action: &str, resources: &[Resource]) {
        self.lock().late.remember(action, resources);
    }

    /// Any call may have been made lately.
    pub(super) fn anything_may_come(&self) {
        self.lock().late.full = Some(Instant::now());
    }

    /// Checks that no call on a vNIC is without an outcome: it may change the addresses.
    ///
    /// # Errors
    /// 409 `operation-in-progress` if there is one.
    pub(super) fn free(&self, nic: &NicId, caller: &str) -> Result<(), Error> {
        let book = self.lock();
        if book.held.is_empty() {
            return Ok(());
        }
        let nic = Resource::nic(nic);
        let earlier = book.calls_on(&nic).next();
        earlier.map_or(Ok(()), |earlier| Err(clash(&nic, earlier, caller)))
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        // Each change under the lock leaves the book consistent, so a panic elsewhere does no harm.
        lock(&self.0)
    }
}

impl Book {
    /// The calls that hold a resource, the earliest first.
    fn calls_on(&self, resource: &Resource) -> impl Iterator<Item = &HeldCall> {
        let numbers = self.held.get(resource).into_iter().flatten();
        numbers.filter_map(|number| self.calls.get(number))
    }

    fn hold(&mut self, wanted: Wanted<'_>, operation: Option<OperationId>) -> u64 {
        self.next += 1;
        let held = HeldCall {
            action: wanted.action.to_owned(),
            row: wanted.row,
            caller: wanted.caller.to_owned(),
            operation,
        };
        self.calls.insert(self.next, held);
        for resource in wanted.resources {
            self.held.entry(resource.clone()).or_default().push(self.next);
        }
        self.next
    }

    /// With `changed`, the effect of the call may still come.
    fn release(&mut self, number: u64, resources: &[Resource], changed: bool) {
        if let Some(held) = self.calls.remove(&number)
            && changed
            && is_provable(held.row)
        {
            let own = resources.iter().filter(|one| is_of(changed_by(held.row), one));
            self.late.remember(&held.action, own);
        }
        for resource in resources {
            if let Some(held) = self.held.get_mut(resource) {
                held.retain(|one| *one != number);
                if held.is_empty() {
                    self.held.remove(resource);
                }
            }
        }
    }
}

impl LateEffects {
    fn remember<'a>(&mut self, action: &str, resources: impl IntoIterator<Item = &'a Resource>) {
        let now = Instant::now();
        for resource in resources {
            if self.calls.len() >= MAX_REMEMBERED {
                self.calls.retain(|_, ended| now.duration_since(*ended) < LATE);
            }
            if self.calls.len() >= MAX_REMEMBERED {
                self.full = Some(now);
                return;
            }
            self.calls.insert((action.to_owned(), resource.clone()), now);
        }
    }

    /// Whether the effect of an earlier call of the same action on one of the resources may still come.
    fn may_come(&self, wanted: Wanted<'_>) -> bool {
        let is_late = |ended: &Instant| ended.elapsed() < LATE;
        let key = |one: &Resource| (wanted.action.to_owned(), one.clone());
        let earlier = |one: &Resource| self.calls.get(&key(one)).is_some_and(is_late);
        let mut own = wanted.resources.iter().filter(|one| is_of(changed_by(wanted.row), one));
        self.full.as_ref().is_some_and(is_late) || own.any(earlier)
    }
}

impl ResourceGuard {
    /// Whether what ZEC shows may be the effect of an earlier call of the same action, so that it proves nothing.
    pub(super) const fn is_after_another(&self) -> bool {
        self.after_another
    }

    /// Sets the operation id under which the journal records the call.
    pub(super) fn name(&self, operation: Option<OperationId>) {
        if let Some(held) = self.guards.lock().calls.get_mut(&self.number) {
            held.operation = operation;
        }
    }

    /// The call may be sent from now on, so only an outcome releases its resources.
    pub(super) const fn sends(&mut self) {
        self.sent = true;
    }

    /// Releases the resources because there is an outcome. With `changed`, the effect of the call may still come.
    pub(super) fn release(mut self, changed: bool) {
        self.guards.lock().release(self.number, &self.resources, changed);
        self.sent = true;
    }
}

impl Drop for ResourceGuard {
    fn drop(&mut self) {
        if !self.sent {
            self.guards.lock().release(self.number, &self.resources, false);
        }
    }
}

fn clash(resource: &Resource, earlier: &HeldCall, caller: &str) -> Error {
    let error = Error::new(
        Problem::OperationInProgress,
        format!(
            "an earlier `{}` on `{resource}` has no outcome yet; nothing was sent: try again as \
             `Retry-After` says, or look in `GET /operations` for your own writes; it takes some \
             minutes if ZEC did not answer",
            earlier.action
        ),
    )
    .with_retry_after(RETRY_AFTER);
    match earlier.operation {
        Some(id) if earlier.caller == caller => error.with_extra(Extra::Operation(id)),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    fn claim(guards: &ResourceGuards, action: &str, ids: &[&str]) -> Result<ResourceGuard, Error> {
        let resources: Vec<_> = ids.iter().map(|id| Resource::parse(id).unwrap()).collect();
        let row = Catalogue::built_in().unwrap().named(action, None);
        assert!(row.is_some(), "{action}");
        guards.claim(Wanted { action, row, resources: &resources, caller: "corp/a" })
    }

    /// ZEC may still work on a call that it answered.
    #[tokio::test(start_paused = true)]
    async fn what_zec_shows_soon_after_the_same_call_may_be_its_effect() {
        let guards = ResourceGuards::default();
        let is_after_another =
            |action: &str, id: &str| claim(&guards, action, &[id]).unwrap().is_after_another();
        claim(&guards, "AttachDisks", &["disk/1", "instance/2"]).unwrap().release(false);
        assert!(!is_after_another("AttachDisks", "disk/1"), "it changed nothing");
        claim(&guards, "AttachDisks", &["disk/1", "instance/2"]).unwrap().release(true);
        assert!(is_after_another("AttachDisks", "disk/1"));
        assert!(!is_after_another("AttachDisks", "disk/3"));
        let other = claim(&guards, "AttachDisks", &["disk/3", "instance/2"]).unwrap();
        assert!(!other.is_after_another(), "another disk for the same machine");
        drop(other);
        assert!(!is_after_another("ResizeDisk", "disk/1"), "nothing proves its outcome");
        tokio::time::advance(LATE).await;
        assert!(!is_after_another("AttachDisks", "disk/1"));
        let many: Vec<_> = (0..=MAX_REMEMBERED)
            .map(|id| Resource::parse(&format!("disk/{id}")).unwrap())
            .collect();
        guards.remember("AttachDisks", &many);
        assert!(guards.lock().late.calls.len() <= MAX_REMEMBERED);
        assert!(is_after_another("AttachDisks", "disk/x"), "too many to remember");
    }

    #[test]
    fn the_same_call_and_any_destructive_one_wait_for_an_outcome() {
        let guards = ResourceGuards::default();
        let first = claim(&guards, "AttachDisks", &["disk/1", "instance/2"]).unwrap();
        let error = claim(&guards, "AttachDisks", &["disk/1", "instance/3"]).unwrap_err();
        assert_eq!((error.problem(), error.status()), (Problem::OperationInProgress, 409));
        assert!(error.detail().contains("`AttachDisks` on `disk/1`"), "{}", error.detail());
        let other = claim(&guards, "AttachDisks", &["disk/3", "instance/2"]);
        assert!(other.is_ok(), "another disk for the same machine");
        drop(other);
        assert!(claim(&guards, "ReleaseInstances", &["instance/2"]).is_err(), "what it refers to");
        assert!(claim(&guards, "ReleaseDisk", &["disk/1"]).is_err());
        assert!(
            claim(&guards, "ModifyDisksAttributes", &["disk/1"]).is_ok(),
            "another call that can be undone"
        );
        assert!(claim(&guards, "AttachDisks", &["disk/4"]).is_ok());
        drop(first);
        assert!(claim(&guards, "ReleaseDisk", &["disk/1"]).is_ok());
        let book = guards.lock();
        assert!(
            book.held.is_empty() && book.calls.is_empty(),
            "something is kept of what was not sent"
        );
    }

    #[test]
    fn what_may_have_been_sent_is_held_until_there_is_an_outcome_and_named_to_its_caller() {
        let guards = ResourceGuards::default();
        let mut guard = claim(&guards, "DeleteVpc", &["vpc/1", "vpc/1"]).unwrap();
        let id = OperationId::new();
        guard.name(Some(id));
        guard.sends();
        let number = (guard.number, guard.resources.clone());
        drop(guard);
        let error = claim(&guards, "DeleteVpc", &["vpc/1"]).unwrap_err();
        assert_eq!(error.extra(), Some(&Extra::Operation(id)));
        guards.lock().release(number.0, &number.1, false);
        assert!(claim(&guards, "DeleteVpc", &["vpc/1"]).is_ok());
    }

    #[test]
    fn the_addresses_of_a_vnic_wait_for_a_call_on_it() {
        let guards = ResourceGuards::default();
        let nic = NicId::parse("1").unwrap();
        let guard = claim(&guards, "AttachNetworkInterface", &["nic/1", "instance/2"]).unwrap();
        assert!(guards.free(&nic, "corp/b").is_err());
        assert!(guards.free(&NicId::parse("2").unwrap(), "corp/b").is_ok());
        guard.release(true);
        assert!(guards.free(&nic, "corp/b").is_ok());
    }
}
