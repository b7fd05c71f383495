//! A dry run: everything except the write. It gets a judge, and nothing that can send.

use std::{collections::HashSet, net::Ipv4Addr};

use super::{judge::Judge, select};
use crate::{
    domain::{Action, Change, ChangeIpv4, Nic, NicId, Rehearsal, Selection},
    error::Error,
    limit::Budget,
};

/// What a change would do.
#[derive(Debug)]
pub struct Rehearsed {
    /// ZEC's action.
    pub action: Action,
    /// The vNIC.
    pub nic: NicId,
    /// The addresses that would be sent.
    pub addresses: Vec<Ipv4Addr>,
    /// The body that would be sent; `None` if there is nothing to do.
    pub body: Option<String>,
    /// The vNIC's private IPv4 addresses before and after the change, if the caller may see them.
    pub lists: Option<(Vec<Ipv4Addr>, Vec<Ipv4Addr>)>,
    /// How many more addresses the caller could remove within the hour after this change. `None` if there is
    /// no budget, or if the change removes no address.
    pub budget_left: Option<u64>,
}

/// Decides on a change as if it were real, and computes what would be left of the caller's budget.
///
/// # Errors
/// Anything that would keep the change from being sent.
pub(super) async fn rehearse(
    judge: &Judge<'_>,
    selection: Selection,
    budget: &Budget,
) -> Result<Rehearsed, Error> {
    let caller = judge.context.caller.id();
    let (change, nic) = match selection {
        Selection::Listed(change) => (change, None),
        Selection::All(all) => match select::everything(judge, all).await? {
            select::All::These(change, nic) => (change, Some(nic)),
            select::All::Nothing { nic, .. } => return Ok(nothing(&nic, budget.look(caller, 0)?)),
        },
    };
    let (permit, nic, ()) = judge.clear(Rehearsal(change), nic, true, |_| Ok(())).await?;
    let Rehearsal(change) = permit.spend();
    let budget_left = match change.change {
        Change::Assign => None,
        Change::Unassign => budget.look(caller, change.addresses.as_slice().len())?,
    };
    let body = change.body();
    let lists = nic.filter(|nic| judge.may_see(nic)).map(|nic| lists(&change, &nic));
    Ok(Rehearsed {
        action: change.change.action(),
        addresses: change.addresses.as_slice().to_vec(),
        nic: change.nic,
        body: Some(body),
        lists,
        budget_left,
    })
}

fn nothing(nic: &Nic, budget_left: Option<u64>) -> Rehearsed {
    Rehearsed {
        action: Change::Unassign.action(),
        nic: nic.id.clone(),
        addresses: Vec::new(),
        body: None,
        lists: Some((nic.ipv4s(), nic.ipv4s())),
        budget_left,
    }
}

fn lists(change: &ChangeIpv4, nic: &Nic) -> (Vec<Ipv4Addr>, Vec<Ipv4Addr>) {
    let (before, changed) = (nic.ipv4s(), change.addresses.as_slice());
    let after = match change.change {
        Change::Assign => before.iter().chain(changed).copied().collect(),
        Change::Unassign => {
            let gone: HashSet<Ipv4Addr> = changed.iter().copied().collect();
            before.iter().filter(|address| !gone.contains(address)).copied().collect()
        }
    };
    (before, after)
}
