//! Finds out unknown outcomes of calls, where the action's row says what proves one: that ZEC no longer shows the resources,
//! or shows them with the values that the call gives.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use tokio::time::Instant;

use super::{LOOK, Resolver, Waits, given_up};
use crate::{
    catalogue::{Catalogue, Proof, ReadBy, ResourceRow, ShownValue},
    domain::{ActionCall, Described, OperationId, Outcome, Resource},
    journal::Ending,
};

/// A call whose outcome is unknown.
#[derive(Debug)]
pub(in crate::execute) struct OpenCall {
    /// The operation id in the journal; `None` without a journal.
    pub(in crate::execute) operation: Option<OperationId>,
    /// What can prove that it was done.
    pub(in crate::execute) proof: CallProof,
    /// When the call was requested. ZEC's clock counts if it is behind the gateway's.
    pub(in crate::execute) asked_at: SystemTime,
    /// The ZEC and the key with which it was sent.
    pub(in crate::execute) zec: Arc<str>,
}

/// What ZEC shows once a call is done, and did not show right before it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::execute) struct CallProof {
    /// The resources to look at, all of one type. Empty if nothing proves an outcome.
    resources: Vec<Resource>,
    /// The members that each of them has then; none if ZEC shows the resources no longer.
    values: BTreeMap<String, String>,
}

impl CallProof {
    /// What can prove that a call was done. `before` gives a resource as ZEC showed it right before the call. If ZEC did not
    /// show one, or showed it as the call would leave it, nothing can prove anything.
    pub(in crate::execute) fn of<'a>(
        call: &ActionCall,
        before: impl Fn(&Resource) -> Option<&'a Described>,
    ) -> Self {
        let resources: Vec<Resource> =
            call.resources().filter(|one| call.row().changes(&one.kind)).cloned().collect();
        let values = match &call.row().proof {
            Proof::Nothing => None,
            Proof::Gone => Some(BTreeMap::new()),
            Proof::Shows(values) => given_values(call, values),
        };
        let Some(values) = values else { return Self::default() };
        let this = Self { resources, values };
        let is_open = |resource: &Resource| before(resource).is_some_and(|one| !this.is_left(one));
        if this.resources.iter().all(is_open) { this } else { Self::default() }
    }

    /// Whether a resource that ZEC shows is as the call leaves it. A resource that is to go is not.
    fn is_left(&self, described: &Described) -> bool {
        let has = |(member, value)| described.proving.get(member) == Some(value);
        !self.values.is_empty() && self.values.iter().all(has)
    }

    /// Whether ZEC's answer to a read of some of the resources proves that the call was done.
    fn holds(&self, asked: usize, shown: &[&Described]) -> bool {
        if self.values.is_empty() {
            return shown.is_empty();
        }
        shown.len() == asked && shown.iter().all(|one| self.is_left(one))
    }

    fn detail(&self) -> &'static str {
        if self.values.is_empty() {
            "the gateway looked for the resources, which ZEC shows no longer"
        } else {
            "the gateway looked at the resources, which ZEC shows as the call leaves them"
        }
    }
}

/// The members that each resource has after the call. `None` if the call gives something that no member shows.
fn given_values(call: &ActionCall, values: &[ShownValue]) -> Option<BTreeMap<String, String>> {
    let arguments = call.arguments();
    let own_id = call.row().required_id()?.name.as_str();
    let mut others: Vec<&str> = arguments.given().filter(|name| *name != own_id).collect();
    let mut given = BTreeMap::new();
    for value in values {
        let is_given = |name: &&str| value.parameters.iter().any(|one| one == name);
        let Some(place) = others.iter().position(is_given) else { continue };
        let text = arguments.get(others.swap_remove(place))?.as_str()?;
        given.insert(value.member.clone(), text.to_owned());
    }
    (others.is_empty() && !given.is_empty()).then_some(given)
}

/// Whether two reads in a row prove the same. One read may have come from a copy that lags behind.
#[derive(Debug, Default)]
struct TwiceInARow(bool);

impl TwiceInARow {
    fn and(&mut self, proves: bool) -> bool {
        std::mem::replace(&mut self.0, proves) && proves
    }
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
            let is_done = this.is_proven(&open).await;
            tracing::info!(
                operation = open.operation.map(|id| id.to_string()),
                outcome = if is_done { Outcome::Done } else { Outcome::Unknown }.label(),
                "the gateway has stopped looking for the outcome of a call"
            );
            let ending = if is_done {
                let detail = open.proof.detail().to_owned();
                Ending { detail: Some(detail), ..Ending::new(Outcome::Done) }
            } else {
                given_up("nothing proved an outcome in time, so the outcome stays unknown")
            };
            this.record(open.operation, ending).await;
            release();
        }));
    }

    /// Waits until ZEC shows that the call was done, or until the call can no longer take effect. That ZEC does not show it yet
    /// proves nothing, because the work may go on for long.
    async fn is_proven(&self, open: &OpenCall) -> bool {
        let patience = self.patience();
        let catalogue = Catalogue::in_use().ok();
        let row = open.proof.resources.first().and_then(|one| catalogue?.resource(&one.kind));
        let Some((row, read_by)) = row.and_then(|row| Some((row, row.read_by.as_ref()?))) else {
            tokio::time::sleep(patience.give_up).await;
            return false;
        };
        let (mut waits, mut twice) = (Waits::new(patience), TwiceInARow::default());
        loop {
            waits.next().await;
            let turn = self.turns.wait(&self.reader, false).await;
            let proves = self.shows_it_done((row, read_by), open).await;
            drop(turn);
            // Checked after the read: from then on anybody may have removed the resources directly at ZEC.
            if self.has_passed(open.asked_at, patience.give_up) || waits.is_over() {
                return false;
            }
            if twice.and(proves) {
                return true;
            }
        }
    }

    /// Whether ZEC shows that the call was done, asked at the same ZEC with the same key.
    async fn shows_it_done(
        &self,
        (row, read_by): (&'static ResourceRow, &ReadBy),
        open: &OpenCall,
    ) -> bool {
        let ids: Vec<&str> = open.proof.resources.iter().map(|one| one.id.as_str()).collect();
        for ids in ids.chunks(read_by.most_ids()) {
            match self.reader.describe("", row, ids, Instant::now() + LOOK).await {
                Ok(found) => {
                    let shown: Vec<&Described> =
                        found.resources.iter().map(|(described, _)| described).collect();
                    if found.zec != open.zec || !open.proof.holds(ids.len(), &shown) {
                        return false;
                    }
                }
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
    use crate::domain::json;

    fn call(action: &str, body: &str) -> ActionCall {
        let row = Catalogue::built_in().unwrap().named(action, None).unwrap();
        ActionCall::parse(row, body.as_bytes()).unwrap()
    }

    fn disk(id: &str, instance: &str) -> Described {
        let object = format!(
            r#"{{"diskId":"{id}","diskName":"d","diskStatus":"AVAILABLE","regionId":"r","zoneId":"z",
                "resourceGroupId":"g","tags":null,"instanceId":{instance}}}"#
        );
        let row = Catalogue::built_in().unwrap().resource("disk").unwrap();
        Described::read(row, &json::read(object.as_bytes()).unwrap()).unwrap().0
    }

    /// The resources to look at, if these are shown before the call.
    fn looked_at(call: &ActionCall, before: &[Described]) -> Vec<String> {
        let shown = |resource: &Resource| before.iter().find(|one| one.resource == *resource);
        CallProof::of(call, shown).resources.iter().map(ToString::to_string).collect()
    }

    fn shown(names: &[&str]) -> Vec<Described> {
        names.iter().map(|name| Described::without_place(Resource::parse(name).unwrap())).collect()
    }

    #[test]
    fn a_resource_goes_only_if_it_was_shown_and_the_action_removes_it() {
        let subnets = call("DeleteSubnets", r#"{"subnetIds":["1","2"]}"#);
        let both = ["subnet/1", "subnet/2"];
        assert_eq!(looked_at(&subnets, &shown(&both)), both);
        assert!(
            looked_at(&subnets, &shown(&both[..1])).is_empty(),
            "one may never have been there"
        );
        let reset = call("ResetInstance", r#"{"instanceId":"1","imageId":"2"}"#);
        assert!(looked_at(&reset, &shown(&["instance/1", "image/2"])).is_empty());
    }

    #[test]
    fn a_value_proves_something_only_if_it_was_another_before() {
        let attach = call("AttachDisks", r#"{"diskIds":["1","2"],"instanceId":"7"}"#);
        let free = [disk("1", "null"), disk("2", "\"8\"")];
        assert_eq!(looked_at(&attach, &free), ["disk/1", "disk/2"]);
        assert!(looked_at(&attach, &[disk("1", "null"), disk("2", "\"7\"")]).is_empty());
        assert!(looked_at(&attach, &free[..1]).is_empty(), "the other was not read");

        let proof = CallProof::of(&attach, |one| free.iter().find(|disk| disk.resource == *one));
        let done = [disk("1", "\"7\""), disk("2", "\"7\"")];
        let holds = |shown: &[&Described]| proof.holds(2, shown);
        assert!(holds(&[&done[0], &done[1]]));
        assert!(!holds(&[&done[0], &free[1]]), "one is elsewhere");
        assert!(!holds(&[&done[0]]), "one is not shown");
    }

    #[test]
    fn a_call_that_gives_more_than_members_show_is_not_proven() {
        let address = |more: &str| {
            call("AssociateEipAddress", &format!(r#"{{"eipIds":["1"],"nicId":"7"{more}}}"#))
        };
        let before = shown(&["eip/1"]);
        assert_eq!(looked_at(&address(""), &before), ["eip/1"]);
        assert!(looked_at(&address(r#","lanIp":"10.0.0.2""#), &before).is_empty());
    }

    #[test]
    fn one_read_proves_nothing_and_neither_do_two_with_another_between() {
        let mut twice = TwiceInARow::default();
        let seen = [true, false, true, true].map(|proves| twice.and(proves));
        assert_eq!(seen, [false, false, false, true]);
    }

    #[test]
    fn what_proves_an_outcome_is_of_one_type_that_can_be_read_by_its_ids() {
        let catalogue = Catalogue::built_in().unwrap();
        let rows = catalogue.actions().iter().filter(|row| row.proof != Proof::Nothing);
        let mut count = 0;
        for row in rows {
            let [kind] = row.types_of_the_changed() else { panic!("{}", row.name) };
            let read = catalogue.resource(kind.as_str()).and_then(|kind| kind.read_by.as_ref());
            assert!(read.is_some_and(|read| read.also.is_none()), "{}", row.name);
            count += 1;
        }
        assert!(count > 30, "{count}");
    }
}
