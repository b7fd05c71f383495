//! Explains for people what a caller may do, and why.

use std::fmt::Write as _;

use super::{
    Engine, ResourceData,
    offline::{PolicyQuestion, Told},
};
use crate::domain::{Caller, Denied, Nic, Reason};

/// An explanation and its answer.
#[derive(Debug)]
pub struct Explanation {
    /// The text for people, several lines.
    pub text: String,
    /// Whether the operation is allowed.
    pub allowed: bool,
}

impl Engine {
    /// Explains the answer to a question.
    #[must_use]
    pub fn explain(
        &self,
        caller: &Caller,
        asked: PolicyQuestion,
        nic: Option<&Nic>,
    ) -> Explanation {
        let mut text = String::new();
        let groups: Vec<&str> = caller.group_ids().collect();
        let groups = if groups.is_empty() { "no group".to_owned() } else { groups.join(", ") };
        let _ = writeln!(text, "caller      {}, in {groups}", caller.id());
        let _ = writeln!(text, "operation   {} on {}", asked.action(), asked.about());
        let _ = writeln!(text, "policy      version {}, {} policies", self.version(), self.len());
        for (number, line) in asked.considered(self, caller).iter().enumerate() {
            let head = if number == 0 { "considered" } else { "" };
            let _ = writeln!(text, "{head:<11} {line}");
        }
        let of_one_nic = asked.nic().is_some();
        let allowed = match self.tell(caller.into(), asked, nic.map(ResourceData::Nic)) {
            Told::Allowed(policies) => {
                let _ = writeln!(text, "answer      allowed by {}", policies.join(", "));
                true
            }
            Told::Denied(denial) => {
                let _ = writeln!(text, "answer      denied");
                for denied in &denial.denied {
                    let _ = writeln!(text, "            {}", why(denied));
                }
                false
            }
            Told::DependsOnData => {
                let on = if of_one_nic {
                    "the vNIC: give the output of `GET /nics/{nicId}` as --nic-file"
                } else {
                    "the resources, which the gateway reads from ZEC: write a case with `resources` and run \
                     `zec-gateway policy test`"
                };
                let _ = writeln!(text, "answer      depends on {on}");
                false
            }
        };
        Explanation { text, allowed }
    }
}

fn why(denied: &Denied) -> String {
    let what =
        denied.address.map_or_else(|| denied.resource.to_string(), |address| address.to_string());
    let list = |reasons: &[Reason]| reasons.iter().map(shown).collect::<Vec<_>>().join(", ");
    match (denied.policies.as_slice(), denied.failed.as_slice()) {
        ([], []) => format!("{what}: no policy allows it"),
        (policies, []) => format!("{what}: forbidden by {}", list(policies)),
        (_, failed) => format!("{what}: could not be evaluated: {}", list(failed)),
    }
}

fn shown(reason: &Reason) -> String {
    match &reason.reason {
        Some(text) => format!("{} ({text})", reason.id),
        None => reason.id.clone(),
    }
}
