//! Guards of writes that have no outcome yet. While one write holds an address, no other write on it may
//! begin.
//!
//! Before a write is sent, dropping its guard releases the addresses. Once it may have been sent, only an
//! outcome releases them. If something else drops the guard, for example a drain, the addresses stay held
//! until the process ends.

use std::{
    collections::{HashMap, HashSet},
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    domain::{ChangeIpv4, NicId, OperationId},
    error::{Error, Extra, Problem},
    mutex::lock,
};

/// Seconds after which a caller may ask again: about as long as a write takes.
const RETRY_AFTER: u32 = 5;

/// How far back the gateway remembers enough to say whether a request's read of a vNIC may be stale. For a
/// request that began earlier, the gateway assumes so.
const OLDEST_REQUEST: Duration = Duration::from_mins(2);

/// How long a change that ZEC has accepted may take to become visible in every read of the vNIC.
pub(super) const LAG: Duration = Duration::from_mins(1);

/// How long the gateway remembers that an address has changed.
const REMEMBERED: Duration = OLDEST_REQUEST.saturating_add(LAG);

/// The addresses that writes hold, by vNIC. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Guards(Arc<Mutex<GuardBook>>);

#[derive(Debug, Default)]
struct GuardBook {
    nics: HashMap<NicId, OnNic>,
    next: u64,
    /// When the last sweep ran. A sweep drops addresses that are not held and have not changed lately.
    swept: Option<Instant>,
    /// Until then any address may have changed, because the newest writes of earlier runs could not be read.
    unknown_until: Option<Instant>,
    /// Until then a call of an earlier run, whose action this program does not know, may change any address.
    contested_until: Option<Instant>,
}

#[derive(Debug, Default)]
struct OnNic {
    writes: Vec<HeldWrite>,
    addresses: HashMap<Ipv4Addr, HeldAddress, foldhash::fast::RandomState>,
}

#[derive(Debug, Default)]
struct HeldAddress {
    /// How many writes hold it. More than one only if an earlier version of the gateway left them behind.
    holders: u32,
    /// When the last write that may have changed it ended.
    changed: Option<Instant>,
}

#[derive(Debug)]
struct HeldWrite {
    number: u64,
    addresses: Vec<Ipv4Addr>,
    caller: String,
    operation: Option<OperationId>,
}

/// Holds the addresses of one write.
#[derive(Debug)]
pub(super) struct Guard {
    guards: Guards,
    nic: NicId,
    number: u64,
    stale: bool,
    contested: bool,
    sent: bool,
}

impl Guards {
    /// Holds the addresses of a change. `since` is when the request began; the request read the vNIC after
    /// that.
    ///
    /// # Errors
    /// 409 `operation-in-progress` if another write holds one of them. If that write is the caller's own, the
    /// error names its `operationId`.
    pub(super) fn claim(
        &self,
        change: &ChangeIpv4,
        caller: &str,
        since: Instant,
    ) -> Result<Guard, Error> {
        let (addresses, now) = (change.addresses.as_slice(), Instant::now());
        let mut book = self.lock();
        book.sweep(now);
        let mut stale = now.saturating_duration_since(since) > OLDEST_REQUEST
            || book.unknown_until.is_some_and(|until| since < until);
        if let Some(on_nic) = book.nics.get(&change.nic) {
            for slot in addresses.iter().filter_map(|address| on_nic.addresses.get(address)) {
                if slot.holders > 0 {
                    return Err(clash(on_nic, addresses, caller));
                }
                // For this long after a change, a read may still show the vNIC as it was before.
                stale |= slot.changed.is_some_and(|changed| changed + LAG > since);
            }
        }
        let number = book.hold(change, caller, None);
        let contested = book.contested_until.is_some_and(|until| now < until);
        let nic = change.nic.clone();
        Ok(Guard { guards: self.clone(), nic, number, stale, contested, sent: false })
    }

    /// Checks that no write on a vNIC's addresses is without an outcome: what the vNIC shows is to prove it.
    ///
    /// # Errors
    /// 409 `operation-in-progress` if there is one.
    pub(super) fn free(&self, nic: &str, caller: &str) -> Result<(), Error> {
        let book = self.lock();
        let Some((_, on_nic)) = book.nics.iter().find(|(id, _)| id.as_str() == nic) else {
            return Ok(());
        };
        match on_nic.writes.first() {
            Some(earlier) => Err(clash(on_nic, &earlier.addresses, caller)),
            None => Ok(()),
        }
    }

    /// Holds the addresses of an earlier run's write, which may have been sent.
    pub(super) fn hold(&self, change: &ChangeIpv4, caller: &str, operation: OperationId) -> Guard {
        let number = self.lock().hold(change, caller, Some(operation));
        let (guards, nic) = (self.clone(), change.nic.clone());
        Guard { guards, nic, number, stale: true, contested: false, sent: true }
    }

    /// An earlier run may have changed any address just before it ended.
    pub(super) fn anything_may_have_changed(&self) {
        self.lock().unknown_until = Some(Instant::now() + LAG);
    }

    /// For this long from now, a call of an earlier run may still change any address.
    pub(super) fn anything_may_change(&self, for_another: Duration) {
        self.lock().contested_until = Some(Instant::now() + for_another);
    }

    /// An earlier run may have changed these addresses just before it ended.
    pub(super) fn changed(&self, change: &ChangeIpv4) {
        let mut book = self.lock();
        let on_nic = book.nics.entry(change.nic.clone()).or_default();
        for address in change.addresses.as_slice() {
            on_nic.addresses.entry(*address).or_default().changed = Some(Instant::now());
        }
    }

    fn lock(&self) -> MutexGuard<'_, GuardBook> {
        // Each change under the lock leaves the book consistent, so a panic elsewhere does no harm.
        lock(&self.0)
    }
}

impl GuardBook {
    fn hold(&mut self, change: &ChangeIpv4, caller: &str, operation: Option<OperationId>) -> u64 {
        self.next += 1;
        let (number, addresses) = (self.next, change.addresses.as_slice());
        let on_nic = match self.nics.get_mut(&change.nic) {
            Some(known) => known,
            None => self.nics.entry(change.nic.clone()).or_default(),
        };
        for address in addresses {
            on_nic.addresses.entry(*address).or_default().holders += 1;
        }
        let (addresses, caller) = (addresses.to_vec(), caller.to_owned());
        on_nic.writes.push(HeldWrite { number, addresses, caller, operation });
        number
    }

    fn release(&mut self, nic: &NicId, number: u64, changed: bool) {
        let Some(on_nic) = self.nics.get_mut(nic) else { return };
        let Some(at) = on_nic.writes.iter().position(|one| one.number == number) else { return };
        let held = on_nic.writes.swap_remove(at);
        for address in held.addresses {
            if let Some(slot) = on_nic.addresses.get_mut(&address) {
                slot.holders = slot.holders.saturating_sub(1);
                if changed {
                    slot.changed = Some(Instant::now());
                } else if slot.holders == 0 && slot.changed.is_none() {
                    on_nic.addresses.remove(&address);
                }
            }
        }
        if on_nic.addresses.is_empty() {
            self.nics.remove(nic);
        }
    }

    /// Drops what no longer matters. It runs only now and then, so that it costs each write almost nothing.
    fn sweep(&mut self, now: Instant) {
        let swept = *self.swept.get_or_insert(now);
        if now.saturating_duration_since(swept) < REMEMBERED {
            return;
        }
        self.swept = Some(now);
        let matters = |slot: &HeldAddress| {
            slot.holders > 0 || slot.changed.is_some_and(|changed| changed + REMEMBERED > now)
        };
        self.nics.retain(|_, on_nic| {
            on_nic.addresses.retain(|_, slot| matters(slot));
            !on_nic.addresses.is_empty()
        });
    }
}

impl Guard {
    /// Sets the operation id under which the journal records the write.
    pub(super) fn name(&self, operation: Option<OperationId>) {
        let mut book = self.guards.lock();
        let on_nic = book.nics.get_mut(&self.nic);
        let mut writes = on_nic.into_iter().flat_map(|on_nic| &mut on_nic.writes);
        if let Some(one) = writes.find(|one| one.number == self.number) {
            one.operation = operation;
        }
    }

    /// Whether another write on one of the addresses ended so recently that the request's own read of the
    /// vNIC may not show it.
    pub(super) const fn may_be_stale(&self) -> bool {
        self.stale
    }

    /// Whether something unknown may change the addresses meanwhile. Then the vNIC proves nothing about the write.
    pub(super) const fn is_contested(&self) -> bool {
        self.contested
    }

    /// The write may be sent from now on, so only an outcome releases its addresses.
    pub(super) const fn sends(&mut self) {
        self.sent = true;
    }

    /// Releases the addresses because there is an outcome; `changed` is whether the write may have taken
    /// place.
    pub(super) fn release(mut self, changed: bool) {
        self.guards.lock().release(&self.nic, self.number, changed);
        self.sent = true;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.sent {
            self.guards.lock().release(&self.nic, self.number, false);
        }
    }
}

fn clash(on_nic: &OnNic, wanted: &[Ipv4Addr], caller: &str) -> Error {
    let wanted: HashSet<&Ipv4Addr> = wanted.iter().collect();
    let shared = |held: &HeldWrite| {
        let shared = held.addresses.iter().filter(|address| wanted.contains(address));
        shared.map(ToString::to_string).collect::<Vec<_>>()
    };
    let earlier = on_nic.writes.iter().map(|held| (held, shared(held)));
    let earlier = earlier.into_iter().find(|(_, shared)| !shared.is_empty());
    let addresses = earlier.as_ref().map(|(_, shared)| shared.join(", ")).unwrap_or_default();
    let error = Error::new(
        Problem::OperationInProgress,
        format!(
            "an earlier write on {addresses} has no outcome yet; nothing was sent: try again as \
             `Retry-After` says, or look in `GET /operations` for your own writes; it takes some \
             minutes if ZEC did not answer"
        ),
    )
    .with_retry_after(RETRY_AFTER);
    match earlier.and_then(|(held, _)| Some((held.operation?, &held.caller))) {
        Some((id, owner)) if owner == caller => error.with_extra(Extra::Operation(id)),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Addresses, Change};

    fn change(nic: &str, addresses: &[&str]) -> ChangeIpv4 {
        ChangeIpv4 {
            change: Change::Unassign,
            nic: NicId::parse(nic).unwrap(),
            addresses: Addresses::parse(addresses.iter().copied(), 9).unwrap(),
        }
    }

    fn claim(guards: &Guards, wanted: &ChangeIpv4, caller: &str) -> Result<Guard, Error> {
        guards.claim(wanted, caller, Instant::now())
    }

    #[tokio::test]
    async fn writes_that_share_an_address_on_a_vnic_go_one_after_the_other() {
        let guards = Guards::default();
        let first = claim(&guards, &change("n", &["10.0.0.1", "10.0.0.2"]), "corp/a").unwrap();
        let error = claim(&guards, &change("n", &["10.0.0.3", "10.0.0.2"]), "corp/b").unwrap_err();
        assert_eq!((error.problem(), error.status()), (Problem::OperationInProgress, 409));
        assert_eq!(error.retry_after(), Some(RETRY_AFTER));
        assert!(error.detail().contains("on 10.0.0.2 has"), "{}", error.detail());
        let other_nic = claim(&guards, &change("m", &["10.0.0.1"]), "corp/a");
        let other_address = claim(&guards, &change("n", &["10.0.0.3"]), "corp/a");
        assert!(other_nic.is_ok() && other_address.is_ok());
        drop(first);
        assert!(claim(&guards, &change("n", &["10.0.0.2"]), "corp/b").is_ok());
        drop((other_nic, other_address));
        assert!(guards.lock().nics.is_empty(), "nothing is kept of what was not sent");
    }

    #[tokio::test]
    async fn only_its_caller_is_told_which_operation_it_is() {
        let guards = Guards::default();
        let wanted = change("n", &["10.0.0.1"]);
        let guard = claim(&guards, &wanted, "corp/a").unwrap();
        let id = OperationId::new();
        guard.name(Some(id));
        let told = |caller| claim(&guards, &wanted, caller).unwrap_err().extra().cloned();
        assert_eq!(told("corp/a"), Some(Extra::Operation(id)));
        assert_eq!(told("corp/b"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn while_something_unknown_may_act_the_vnic_proves_nothing() {
        let guards = Guards::default();
        let wanted = change("n", &["10.0.0.1"]);
        assert!(!claim(&guards, &wanted, "corp/a").unwrap().is_contested());
        guards.anything_may_change(Duration::from_mins(7));
        assert!(claim(&guards, &wanted, "corp/a").unwrap().is_contested());
        tokio::time::advance(Duration::from_mins(7)).await;
        assert!(!claim(&guards, &wanted, "corp/a").unwrap().is_contested());
    }

    #[tokio::test]
    async fn what_may_have_been_sent_is_held_until_there_is_an_outcome() {
        let guards = Guards::default();
        let wanted = change("n", &["10.0.0.1"]);
        let mut guard = claim(&guards, &wanted, "corp/a").unwrap();
        guard.sends();
        drop(guard);
        assert!(claim(&guards, &wanted, "corp/b").is_err(), "a dropped guard released it");

        let guards = Guards::default();
        let kept: Vec<Guard> =
            (0..2).map(|_| guards.hold(&wanted, "corp/a", OperationId::new())).collect();
        for guard in kept {
            assert!(claim(&guards, &wanted, "corp/b").is_err());
            guard.release(false);
        }
        assert!(claim(&guards, &wanted, "corp/b").is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_may_be_stale_for_a_while_after_another_write() {
        let guards = Guards::default();
        let (wanted, other) = (change("n", &["10.0.0.1"]), change("n", &["10.0.0.2"]));
        let stale = |wanted| claim(&guards, wanted, "corp/a").unwrap().may_be_stale();
        assert!(!stale(&wanted));
        claim(&guards, &wanted, "corp/a").unwrap().release(false);
        assert!(!stale(&wanted), "nothing has changed");
        claim(&guards, &wanted, "corp/a").unwrap().release(true);
        assert!(stale(&wanted) && !stale(&other));
        let before = Instant::now();
        tokio::time::advance(LAG).await;
        assert!(!stale(&wanted));
        let late = guards.claim(&wanted, "corp/a", before).unwrap();
        assert!(late.may_be_stale(), "what was read before still may be");
        drop(late);
        let long_ago = Instant::now();
        tokio::time::advance(REMEMBERED + Duration::from_secs(1)).await;
        assert!(guards.claim(&other, "corp/a", long_ago).unwrap().may_be_stale());
        assert!(guards.lock().nics.is_empty(), "what is over for long is forgotten");
        guards.changed(&wanted);
        assert!(stale(&wanted) && !stale(&other));
        guards.anything_may_have_changed();
        assert!(stale(&other));
        tokio::time::advance(LAG).await;
        assert!(!stale(&other));
    }
}
