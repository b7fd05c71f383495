//! What a write counts for in its caller's budgets.

use std::collections::BTreeSet;

use crate::{
    catalogue::{ActionRow, Catalogue, Effect},
    domain::{ActionCall, Change, ChangeIpv4, WriteCall},
    journal::View,
    limit::BudgetKind,
};

/// What a write counts for, and how much: `None` if it removes nothing.
pub(super) fn of_write(write: &WriteCall) -> Option<(BudgetKind, usize)> {
    match write.change() {
        Some(change) => of_change(change),
        None => of_resources(write.row(), write.named_resources()),
    }
}

/// A change counts for each address that it takes off.
pub(super) fn of_change(change: &ChangeIpv4) -> Option<(BudgetKind, usize)> {
    let count = change.addresses.as_slice().len();
    (change.change == Change::Unassign).then_some((BudgetKind::Addresses, count))
}

/// A destructive call counts for each resource that it names, and for one if it names none.
pub(super) fn of_call(call: &ActionCall) -> Option<(BudgetKind, usize)> {
    of_resources(call.row(), call.resources().count())
}

fn of_resources(row: &ActionRow, named: usize) -> Option<(BudgetKind, usize)> {
    (row.effect == Effect::Destructive).then_some((BudgetKind::Resources, named.max(1)))
}

/// A recorded write counts as it did when it was made.
pub(super) fn of_recorded(view: &View) -> Option<(BudgetKind, usize)> {
    match &view.change {
        Some(change) => of_change(change),
        None => Some((BudgetKind::Resources, view.call.resources.len().max(1))),
    }
}

/// The actions whose writes count.
pub(super) fn actions() -> Vec<String> {
    let rows = Catalogue::in_use().map(Catalogue::actions).unwrap_or_default().iter();
    let names = rows.filter(|row| row.effect == Effect::Destructive).map(|row| row.name.clone());
    names.collect::<BTreeSet<_>>().into_iter().collect()
}
