//! Writes without an outcome yet: while one holds an address, no other may begin on it.

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::json;

use crate::{
    domain::{ChangeIpv4, NicId, OperationId},
    error::{Error, Problem},
};

/// Seconds after which a caller may ask again: about as long as a write takes.
const RETRY_AFTER: u32 = 5;

/// What is held, by vNIC. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Guards(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    held: Mutex<HashMap<NicId, Vec<Held>>>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Held {
    number: u64,
    addresses: Vec<Ipv4Addr>,
    caller: String,
    operation: Option<OperationId>,
}

/// Holds the addresses of one write until it is dropped.
#[derive(Debug)]
pub(super) struct Guard {
    guards: Guards,
    nic: NicId,
    number: u64,
}

impl Guards {
    /// Holds the addresses of a change, whoever asks for it.
    ///
    /// # Errors
    /// 409 `operation-in-progress` where one of them is held; with the `operationId` for whoever's
    /// operation it is.
    pub(super) fn claim(&self, change: &ChangeIpv4, caller: &str) -> Result<Guard, Error> {
        let addresses = change.addresses.as_slice();
        let mut held = self.lock();
        let on_nic = held.entry(change.nic.clone()).or_default();
        let shared = |one: &&Held| one.addresses.iter().any(|held| addresses.contains(held));
        match on_nic.iter().find(shared) {
            Some(earlier) => Err(clash(earlier, addresses, caller)),
            None => Ok(self.put(on_nic, change, caller, None)),
        }
    }

    /// Holds the addresses of a write of an earlier run.
    pub(super) fn hold(&self, change: &ChangeIpv4, caller: &str, operation: OperationId) -> Guard {
        let mut held = self.lock();
        let on_nic = held.entry(change.nic.clone()).or_default();
        self.put(on_nic, change, caller, Some(operation))
    }

    fn put(
        &self,
        on_nic: &mut Vec<Held>,
        change: &ChangeIpv4,
        caller: &str,
        operation: Option<OperationId>,
    ) -> Guard {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let addresses = change.addresses.as_slice().to_vec();
        on_nic.push(Held { number, addresses, caller: caller.to_owned(), operation });
        Guard { guards: self.clone(), nic: change.nic.clone(), number }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<NicId, Vec<Held>>> {
        // Every change under it is whole: a panic elsewhere spoils nothing.
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guard {
    /// Says under which id the write is recorded.
    pub(super) fn name(&self, operation: Option<OperationId>) {
        let mut held = self.guards.lock();
        let on_nic = held.get_mut(&self.nic).into_iter().flatten();
        for one in on_nic.filter(|one| one.number == self.number) {
            one.operation = operation;
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut held = self.guards.lock();
        if let Some(on_nic) = held.get_mut(&self.nic) {
            on_nic.retain(|one| one.number != self.number);
            if on_nic.is_empty() {
                held.remove(&self.nic);
            }
        }
    }
}

fn clash(earlier: &Held, wanted: &[Ipv4Addr], caller: &str) -> Error {
    let shared: Vec<String> = wanted
        .iter()
        .filter(|address| earlier.addresses.contains(address))
        .map(ToString::to_string)
        .collect();
    let error = Error::new(
        Problem::OperationInProgress,
        format!(
            "an earlier write on {} has no outcome yet, which may take some minutes where ZEC did not \
             answer it; nothing was sent, ask again then (`GET /operations` shows your own writes)",
            shared.join(", ")
        ),
    )
    .with_retry_after(RETRY_AFTER);
    match earlier.operation {
        Some(id) if earlier.caller == caller => {
            error.with_member("operationId", json!(id.to_string()))
        }
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

    #[test]
    fn writes_that_share_an_address_on_a_vnic_go_one_after_the_other() {
        let guards = Guards::default();
        let first = guards.claim(&change("n", &["10.0.0.1", "10.0.0.2"]), "corp/a").unwrap();
        let error = guards.claim(&change("n", &["10.0.0.3", "10.0.0.2"]), "corp/b").unwrap_err();
        assert_eq!((error.problem(), error.status()), (Problem::OperationInProgress, 409));
        assert_eq!(error.retry_after(), Some(RETRY_AFTER));
        assert!(error.detail().contains("on 10.0.0.2 has"), "{}", error.detail());
        let other_nic = guards.claim(&change("m", &["10.0.0.1"]), "corp/a");
        let other_address = guards.claim(&change("n", &["10.0.0.3"]), "corp/a");
        assert!(other_nic.is_ok() && other_address.is_ok());
        drop(first);
        assert!(guards.claim(&change("n", &["10.0.0.2"]), "corp/b").is_ok());
        drop((other_nic, other_address));
        assert!(guards.lock().is_empty(), "nothing is kept of what is over");
    }

    #[test]
    fn only_its_caller_is_told_which_operation_it_is() {
        let guards = Guards::default();
        let wanted = change("n", &["10.0.0.1"]);
        let guard = guards.claim(&wanted, "corp/a").unwrap();
        let id = OperationId::new();
        guard.name(Some(id));
        let told = |caller| guards.claim(&wanted, caller).unwrap_err().members().clone();
        assert_eq!(told("corp/a")["operationId"], id.to_string());
        assert!(told("corp/b").is_empty());
    }

    #[test]
    fn what_an_earlier_run_left_is_held_too() {
        let guards = Guards::default();
        let wanted = change("n", &["10.0.0.1"]);
        let kept = (0..2).map(|_| guards.hold(&wanted, "corp/a", OperationId::new()));
        let kept: Vec<Guard> = kept.collect();
        assert!(guards.claim(&wanted, "corp/b").is_err());
        drop(kept);
        assert!(guards.claim(&wanted, "corp/b").is_ok());
    }
}
