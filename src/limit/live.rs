//! The limits in force, which a reload replaces.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{Rates, Settings};

/// The limits in force, which can be replaced while requests run. Clones share them.
///
/// A request that runs while they are replaced meets each as it is when its turn comes: how many may
/// run at the door, the budget and the freeze file right before the write is sent. Each is looked at
/// once for a request and by itself, so none is ever half old and half new. Those of the request's
/// beginning would be worse: whoever lowers a budget, or names a freeze file, means what is on its way
/// too.
#[derive(Clone, Debug)]
pub struct Live(Arc<ArcSwap<Limits>>);

/// Limits, with the counts that depend on their numbers.
#[derive(Debug)]
pub struct Limits {
    /// The numbers.
    pub settings: Settings,
    /// How often each caller has asked lately, against `requests_per_second`.
    pub(super) rates: Arc<Rates>,
}

impl Live {
    /// These are in force.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let rates = Arc::new(Rates::new(settings.requests_per_second));
        Self(Arc::new(ArcSwap::from_pointee(Limits { settings, rates })))
    }

    /// The limits as they are now: whoever looks at two of them looks once.
    #[must_use]
    pub fn now(&self) -> Arc<Limits> {
        self.0.load_full()
    }

    /// Puts others in force, all in one moment. What runs already counts against them; how often
    /// callers have asked is forgotten only where its limit is another.
    pub fn replace(&self, settings: Settings) {
        let before = self.now();
        let rates = if before.settings.requests_per_second == settings.requests_per_second {
            Arc::clone(&before.rates)
        } else {
            Arc::new(Rates::new(settings.requests_per_second))
        };
        self.0.store(Arc::new(Limits { settings, rates }));
    }
}

#[cfg(test)]
impl Live {
    /// No limits but what a test changes.
    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            max_concurrent_requests: 1000,
            max_concurrent_per_caller: 1000,
            max_addresses: 1000,
            requests_per_second: 0,
            addresses_per_hour: 0,
            freeze_file: None,
        };
        change(&mut settings);
        Self::new(settings)
    }

    /// The same with something changed.
    pub(super) fn alter(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.now().settings.clone();
        change(&mut settings);
        self.replace(settings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_often_a_caller_has_asked_outlives_a_reload_that_leaves_its_limit_alone() {
        let live = Live::with(|limits| limits.requests_per_second = 1);
        let ask = || live.now().rates.check("corp/alice").is_ok();
        assert!(ask() && !ask());
        live.alter(|limits| limits.max_addresses = 1);
        assert!(!ask());
        live.alter(|limits| limits.requests_per_second = 2);
        assert!(ask() && ask() && !ask());
    }
}
