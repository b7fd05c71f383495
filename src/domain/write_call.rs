//! A call that changes something.

use std::sync::{Arc, OnceLock};

use super::{ActionCall, Call, Change, ChangeIpv4, Resource};
use crate::catalogue::{ActionRow, Catalogue, CatalogueError, LATEST};

/// A call that changes something. A permit for one becomes a ticket, and a ticket is what may be sent.
///
/// The arguments may be large, so clones share them.
#[derive(Clone, Debug)]
pub struct WriteCall {
    row: &'static ActionRow,
    arguments: WriteArguments,
}

#[derive(Clone, Debug)]
enum WriteArguments {
    /// Of a recipe: a change of a vNIC's addresses.
    Ipv4(Arc<ChangeIpv4>),
    /// As the row has read them.
    Read(Arc<ActionCall>),
}

/// The call changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the call changes nothing")]
pub struct NotAWrite;

impl WriteCall {
    /// The write that an action's call makes.
    ///
    /// # Errors
    /// When the action changes nothing.
    pub fn of(call: ActionCall) -> Result<Self, NotAWrite> {
        let row = call.row();
        let arguments = WriteArguments::Read(Arc::new(call));
        if row.effect.is_change() { Ok(Self { row, arguments }) } else { Err(NotAWrite) }
    }

    /// The write that makes a change of addresses: a call of the action's row. The row is the program's own, whatever an
    /// operator's file says of the action.
    ///
    /// # Errors
    /// When the catalogue of this program is broken.
    pub fn of_change(change: ChangeIpv4) -> Result<Self, CatalogueError> {
        let row = change.change.row()?;
        Ok(Self { row, arguments: WriteArguments::Ipv4(Arc::new(change)) })
    }

    /// The row of the action.
    #[must_use]
    pub const fn row(&self) -> &'static ActionRow {
        self.row
    }

    /// The action's name.
    #[must_use]
    pub fn action(&self) -> &'static str {
        &self.row.name
    }

    /// The body to send, as canonical JSON.
    #[must_use]
    pub fn body(&self) -> String {
        match &self.arguments {
            WriteArguments::Ipv4(change) => change.body(),
            WriteArguments::Read(call) => call.arguments().canonical(),
        }
    }

    /// The change of addresses that it makes. The gateway checks the state of the vNIC before such a write, and finds
    /// its outcome out.
    #[must_use]
    pub fn change(&self) -> Option<&ChangeIpv4> {
        match &self.arguments {
            WriteArguments::Ipv4(change) => Some(change),
            WriteArguments::Read(_) => None,
        }
    }

    /// The id of the first resource that it names, or else the action's name. The breaker tells calls apart by it.
    #[must_use]
    pub fn about(&self) -> &str {
        match &self.arguments {
            WriteArguments::Ipv4(change) => change.nic.as_str(),
            WriteArguments::Read(call) => call.about(),
        }
    }

    /// How many resources it names.
    #[must_use]
    pub fn named_resources(&self) -> usize {
        match &self.arguments {
            WriteArguments::Ipv4(_) => 1,
            WriteArguments::Read(call) => call.resources().count(),
        }
    }

    /// The call as the journal keeps it; `digest` gives what replaces a secret.
    #[must_use]
    pub fn recorded(&self, digest: &impl Fn(&str) -> String) -> Call {
        match &self.arguments {
            WriteArguments::Ipv4(change) => {
                Call::of(self.row, vec![Resource::nic(&change.nic)], change.body())
            }
            WriteArguments::Read(call) => call.recorded(digest),
        }
    }
}

impl Change {
    /// The row of the action that makes the change. It is looked up once.
    fn row(self) -> Result<&'static ActionRow, CatalogueError> {
        static ASSIGN: OnceLock<&'static ActionRow> = OnceLock::new();
        static UNASSIGN: OnceLock<&'static ActionRow> = OnceLock::new();
        let known = match self {
            Self::Assign => &ASSIGN,
            Self::Unassign => &UNASSIGN,
        };
        if let Some(row) = known.get() {
            return Ok(row);
        }
        let name = self.action().name();
        let row = Catalogue::built_in()?.action(LATEST, name);
        let row =
            row.ok_or_else(|| CatalogueError::in_table("actions", format!("`{name}` has no row")))?;
        Ok(known.get_or_init(|| row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Addresses, NicId};

    #[test]
    fn a_change_of_addresses_is_the_call_that_its_row_reads() {
        for change in [Change::Assign, Change::Unassign] {
            let change = ChangeIpv4 {
                change,
                nic: NicId::parse("nic-1").unwrap(),
                addresses: Addresses::parse(["10.0.0.3", "10.0.0.2"], 9).unwrap(),
            };
            let write = WriteCall::of_change(change.clone()).unwrap();
            let read = ActionCall::parse(write.row(), write.body().as_bytes()).unwrap();
            assert_eq!(write.action(), change.change.action().name());
            assert_eq!(read.arguments().members(), &change.arguments());
            let read = WriteCall::of(read).unwrap();
            let recorded = [&write, &read].map(|write| write.recorded(&|_| panic!("a secret")));
            let [made, again] = &recorded;
            assert_eq!(made.arguments.get(), again.arguments.get());
            assert_eq!((&made.action, &made.api_version), (&again.action, &again.api_version));
            assert_eq!(made.resources, again.resources);
            let facts = |write: &WriteCall| (write.about().to_owned(), write.named_resources());
            assert_eq!(facts(&write), facts(&read));
        }
    }
}
