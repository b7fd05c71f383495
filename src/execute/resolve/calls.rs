//! Finds out unknown outcomes of calls, where the action's row says what proves one: that ZEC no longer shows the resources.

use std::{sync::Arc, time::SystemTime};

use tokio::time::Instant;

use super::{LOOK, Resolver, Waits, given_up};
use crate::{
    catalogue::{Catalogue, Proof, ReadBy, ResourceRow},
    domain::{ActionCall, OperationId, Outcome, Resource},
    journal::Ending,
};

/// A call whose outcome is unknown.
#[derive(Debug)]
pub(in crate::execute) struct OpenCall {
    /// The operation id in the journal; `None` without a journal.
    pub(in crate::execute) operation: Option<OperationId>,
    /// What ZEC showed before the call and shows no longer once the call is done, all of one type. Empty if nothing proves an
    /// outcome.
    pub(in crate::execute) removes: Vec<Resource>,
    /// When the call was requested. ZEC's clock counts if it is behind the gateway's.
    pub(in crate::execute) asked_at: SystemTime,
    /// The ZEC and the key with which it was sent.
    pub(in crate::execute) zec: Arc<str>,
}

/// The resources of a call that ZEC shows no longer once it is done, if each of them was shown before. If one was not, its
/// absence proves nothing.
pub(in crate::execute) fn removed_by(
    call: &ActionCall,
    was_shown: impl Fn(&Resource) -> bool,
) -> Vec<Resource> {
    if call.row().proof != Proof::Gone {
        return Vec::new();
    }
    let own = call.resources().filter(|one| call.row().changes(&one.kind));
    let own: Vec<Resource> = own.cloned().collect();
    if own.iter().all(was_shown) { own } else { Vec::new() }
}

impl Resolver {
    /// Looks for the outcome of a call until it is known, or the call can no longer take effect. Until then the call counts
    /// as unfinished; `release` runs after it.
    pub(in crate::execute) fn look_for(
        &self,
        open: OpenCall,
        release: impl FnOnce() + Send + 'static,
    ) {
        let (this, stop) = (self.clone(), self.stop.clone());
        tokio::spawn(stop.run_until_cancelled_owned(async move {
            let gone = this.are_gone(&open).await;
            tracing::info!(
                operation = open.operation.map(|id| id.to_string()),
                outcome = if gone { Outcome::Done } else { Outcome::Unknown }.label(),
                "the gateway has stopped looking for the outcome of a call"
            );
            let ending = if gone {
                let detail = "the gateway looked for the resources, which ZEC shows no longer";
                Ending { detail: Some(detail.to_owned()), ..Ending::new(Outcome::Done) }
            } else {
                given_up("nothing proved an outcome in time, so the outcome stays unknown")
            };
            this.record(open.operation, ending).await;
            release();
        }));
    }

    /// Waits until ZEC shows none of the resources, or until the call can no longer take effect. That ZEC still shows one
    /// proves nothing, because the work may go on for long.
    async fn are_gone(&self, open: &OpenCall) -> bool {
        let patience = self.patience();
        let catalogue = Catalogue::in_use().ok();
        let row = open.removes.first().and_then(|one| catalogue?.resource(&one.kind));
        let Some((row, read_by)) = row.and_then(|row| Some((row, row.read_by.as_ref()?))) else {
            tokio::time::sleep(patience.give_up).await;
            return false;
        };
        let (mut waits, mut were_gone) = (Waits::new(patience), false);
        loop {
            waits.next().await;
            let turn = self.turns.wait(&self.reader, false).await;
            let gone = self.shows_none((row, read_by), open).await;
            drop(turn);
            // Checked after the read: from then on anybody may have removed the resources directly at ZEC.
            if self.has_passed(open.asked_at, patience.give_up) || waits.is_over() {
                return false;
            }
            // Twice in a row, because one read may have come from a copy that lags behind.
            if gone && were_gone {
                return true;
            }
            were_gone = gone;
        }
    }

    /// Whether ZEC shows none of the resources, asked at the same ZEC with the same key.
    async fn shows_none(
        &self,
        (row, read_by): (&'static ResourceRow, &ReadBy),
        open: &OpenCall,
    ) -> bool {
        let ids: Vec<&str> = open.removes.iter().map(|one| one.id.as_str()).collect();
        for ids in ids.chunks(read_by.most_ids()) {
            match self.reader.describe("", row, ids, Instant::now() + LOOK).await {
                Ok(found) if found.zec == open.zec && found.resources.is_empty() => {}
                Ok(_) => return false,
                Err(cause) => {
                    tracing::debug!(%cause, "the resources could not be read to find an unknown outcome");
                    return false;
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_goes_only_if_it_was_shown_and_the_action_removes_it() {
        let call = |action: &str, body: &str| {
            let row = Catalogue::built_in().unwrap().named(action, None).unwrap();
            ActionCall::parse(row, body.as_bytes()).unwrap()
        };
        let names = |call: &ActionCall, shown: &[&str]| -> Vec<String> {
            let was_shown = |one: &Resource| shown.contains(&one.to_string().as_str());
            removed_by(call, was_shown).iter().map(ToString::to_string).collect()
        };
        let subnets = call("DeleteSubnets", r#"{"subnetIds":["1","2"]}"#);
        assert_eq!(names(&subnets, &["subnet/1", "subnet/2"]), ["subnet/1", "subnet/2"]);
        assert!(names(&subnets, &["subnet/1"]).is_empty(), "one may never have been there");
        let reset = call("ResetInstance", r#"{"instanceId":"1","imageId":"2"}"#);
        assert!(names(&reset, &["instance/1", "image/2"]).is_empty());
    }

    #[test]
    fn what_goes_is_of_one_type_that_can_be_read_by_its_ids() {
        let catalogue = Catalogue::built_in().unwrap();
        let rows = catalogue.actions().iter().filter(|row| row.proof == Proof::Gone);
        let mut count = 0;
        for row in rows {
            let [kind] = row.types_of_the_changed() else { panic!("{}", row.name) };
            let read = catalogue.resource(kind.as_str()).and_then(|kind| kind.read_by.as_ref());
            assert!(read.is_some_and(|read| read.also.is_none()), "{}", row.name);
            count += 1;
        }
        assert!(count > 20, "{count}");
    }
}
