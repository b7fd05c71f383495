use std::{future::Future, pin::pin, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};

use super::{Emulator, service};

/// How long accepting rests after a failure: it mostly means that file descriptors ran out, and
/// trying again at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Emulator {
    /// Answers over HTTP/1.1 until `shutdown` resolves; connections still open then are dropped,
    /// answered or not.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = pin!(shutdown);
        // Dropped at the end, and with it every connection.
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(connection(self.clone(), stream));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the emulator cannot accept a connection");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        connections.shutdown().await;
    }
}

async fn connection(emulator: Emulator, stream: TcpStream) {
    // Without it answers in two parts wait for the other side's acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| service::answer(emulator.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    // Callers that hang up, and faults that cut: both are what the emulator is for.
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the emulator broke");
    }
}
