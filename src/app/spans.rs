//! Where finished requests go: to a collector, if the build has the feature `otlp` and the configuration names one.

use std::sync::Arc;

use crate::{config::Config, error::Fault, metrics::Metrics, telemetry::Sink};

#[cfg(feature = "otlp")]
mod exported {
    use tokio::task::JoinHandle;
    use tokio_util::sync::CancellationToken;

    use super::{Arc, Config, Fault, Metrics, Sink};
    use crate::otlp::{Exporter, SpanQueue};

    /// The exporter and its queue; `None` without a collector.
    #[derive(Debug)]
    pub(crate) struct Spans(Option<(SpanQueue, Exporter)>);

    /// A running exporter; `None` without a collector.
    #[derive(Debug)]
    pub(crate) struct RunningExporter(Option<(CancellationToken, JoinHandle<()>)>);

    impl Spans {
        pub(crate) fn load(config: &Config, metrics: &Arc<Metrics>) -> Result<Self, Fault> {
            let Some(collector) = &config.collector else { return Ok(Self(None)) };
            let (zec, scheme) = (&config.zec.authority, &config.zec.scheme);
            let usual = if *scheme == http::uri::Scheme::HTTPS { 443 } else { 80 };
            let zec = (zec.host().to_owned(), zec.port_u16().unwrap_or(usual));
            Exporter::new(collector, zec, Arc::clone(metrics)).map(|made| Self(Some(made)))
        }

        pub(crate) fn sink(&self) -> Option<Arc<dyn Sink>> {
            let (queue, _) = self.0.as_ref()?;
            Some(Arc::new(queue.clone()))
        }

        pub(crate) fn start(self) -> RunningExporter {
            RunningExporter(self.0.map(|(_, exporter)| {
                let stop = CancellationToken::new();
                let running = tokio::spawn(exporter.run(stop.clone()));
                (stop, running)
            }))
        }
    }

    impl RunningExporter {
        /// Sends the remaining spans, within a bound, and stops.
        pub(crate) async fn stop(self) {
            if let Some((stop, running)) = self.0 {
                stop.cancel();
                let _ = running.await;
            }
        }
    }
}

#[cfg(not(feature = "otlp"))]
mod exported {
    use super::{Arc, Config, Fault, Metrics, Sink};

    /// Empty, because the configuration cannot name a collector in this build.
    #[derive(Debug)]
    pub(crate) struct Spans;

    impl Spans {
        #[expect(clippy::unnecessary_wraps, reason = "the other build's may fail")]
        pub(crate) fn load(_: &Config, _: &Arc<Metrics>) -> Result<Self, Fault> {
            Ok(Self)
        }

        #[expect(clippy::unused_self, reason = "the other build's has one")]
        pub(crate) fn sink(&self) -> Option<Arc<dyn Sink>> {
            None
        }

        pub(crate) fn start(self) -> Self {
            self
        }

        #[expect(clippy::unused_async, reason = "the other build's waits")]
        pub(crate) async fn stop(self) {}
    }
}

pub(super) use exported::Spans;
