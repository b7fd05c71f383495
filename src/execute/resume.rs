//! What earlier runs left behind: callers' budgets, and writes without an outcome.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    cost,
    resolve::{CallProof, Contests, Open, OpenCall, may_have_changed},
    resource_guard::Wanted,
    write::WritePath,
};
use crate::{
    catalogue::Catalogue,
    clock,
    domain::OperationId,
    journal::{Filter, Page, View},
    limit::Reservation,
};

/// How many of the newest writes are read when the gateway starts, to find out which addresses may have
/// changed. ZEC makes fewer writes than this in the time that a change takes to show.
const RECENT: usize = 2000;

/// The period of the callers' budgets.
const HOUR: Duration = Duration::from_hours(1);

impl WritePath {
    /// Takes over what earlier runs left behind: callers' budgets, and the writes without an outcome, whose
    /// addresses are held from now on.
    pub(super) async fn resume(&self, unfinished: Vec<View>) {
        let mut reservations = self.restore_budgets().await;
        let newest = self.journal.list(Filter::newest(RECENT)).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the journal could not be read, so any address counts as changed lately: check the journal");
            self.guards.anything_may_have_changed();
            self.resources.anything_may_come();
            Page::default()
        });
        let newest = newest.views;
        for view in newest.iter().filter(|view| may_have_changed(view)) {
            if let Some(change) = &view.change {
                self.guards.changed(change);
            } else {
                self.guards.anything_may_have_changed();
                self.resources.remember(&view.call.action, &view.call.resources);
            }
        }
        let contests = Contests::among(&newest, &unfinished);
        let contested = |view: &View| {
            view.change.as_ref().is_some_and(|change| contests.contested(view.id, change))
        };
        let contested: Vec<bool> = unfinished.iter().map(contested).collect();
        for (mut view, contested) in unfinished.into_iter().zip(contested) {
            let Some(change) = view.change.take() else {
                self.let_end(&view);
                continue;
            };
            tracing::warn!(
                operation = %view.id,
                outcome = view.outcome.label(),
                nic = %change.nic,
                caller = view.caller,
                "a write of an earlier run may or may not have been done: checking the vNIC"
            );
            let guard = self.guards.hold(&change, &view.caller, view.id);
            let reservation = reservations.remove(&view.id);
            self.resolver.take_on(Open::of_earlier(view, change, contested, guard, reservation));
        }
    }

    /// Holds the resources of an earlier run's call until nothing can be done about its outcome any more.
    fn let_end(&self, view: &View) {
        self.guards.anything_may_change(self.resolver.patience().proof);
        let row = Catalogue::in_use()
            .ok()
            .and_then(|catalogue| catalogue.action(&view.call.api_version, &view.call.action));
        let wanted = Wanted {
            action: &view.call.action,
            row,
            resources: &view.call.resources,
            caller: &view.caller,
        };
        let guard = self.resources.hold(wanted, view.id);
        // The journal does not say what ZEC showed before, so what ZEC shows now proves nothing.
        let open = OpenCall {
            operation: Some(view.id),
            proof: CallProof::default(),
            asked_at: view.started_at,
            zec: Arc::default(),
        };
        self.resolver.look_for(open, || guard.release(true));
        tracing::warn!(
            operation = %view.id,
            outcome = view.outcome.label(),
            action = view.call.action,
            caller = view.caller,
            "a write of an earlier run has no final outcome, and nothing proves one after a restart, so the outcome will stay unknown: check its resources yourself"
        );
    }

    /// Counts again what callers removed in the last hour. The returned reservations belong to writes that
    /// may still prove not done.
    async fn restore_budgets(&self) -> HashMap<OperationId, Reservation> {
        let since = clock::now().checked_sub(HOUR).unwrap_or(SystemTime::UNIX_EPOCH);
        let taken = self.journal.recent_writes(cost::actions(), since).await;
        let taken = taken.unwrap_or_else(|error| {
            tracing::error!(%error, "the journal could not be read, so the hourly budgets of callers start unused: check the journal");
            Vec::new()
        });
        let restore = |view: View| {
            let (kind, count) = cost::of_recorded(&view)?;
            let reservation =
                self.budgets.of(kind).restore(&view.caller, view.started_at, count)?;
            Some((view.id, reservation))
        };
        taken.into_iter().filter_map(restore).collect()
    }
}
