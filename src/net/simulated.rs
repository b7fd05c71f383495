//! A simulated network, in place of sockets.

use std::{fmt, pin::Pin, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;

use super::{ExchangeError, HttpClient};

/// The later result of a step on the network.
pub(crate) type Later<T> = Pin<Box<dyn Future<Output = Result<T, ExchangeError>> + Send>>;

/// Makes connections and carries requests over them.
pub(crate) trait Network: fmt::Debug + Send + Sync {
    /// Makes a connection.
    fn connect(&self) -> Later<()>;

    /// Sends a request and waits for its answer.
    fn exchange(&self, request: Request<Full<Bytes>>) -> Later<Response<Bytes>>;
}

impl HttpClient {
    /// Returns the client with this network in place of sockets.
    pub(crate) fn over(mut self, network: Arc<dyn Network>) -> Self {
        self.simulated = Some(network);
        self
    }
}
