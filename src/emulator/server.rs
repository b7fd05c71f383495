//! The emulator's HTTP/1.1 server.

use std::{error::Error as _, future::Future, io, pin::pin, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};

use super::{
    Emulator,
    service::{self, Cut},
};

/// How long to wait after accepting has failed. Usually file descriptors have run out, and an immediate retry would
/// only waste time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The number of pieces of a slow answer, and the pause between two of them.
const PIECES: usize = 8;
const PIECE_PAUSE: Duration = Duration::from_millis(5);

impl Emulator {
    /// Answers over HTTP/1.1 until `shutdown` resolves. Connections that are open then are dropped, answered or not.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = pin!(shutdown);
        // Dropped at the end together with all connections.
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

async fn connection(emulator: Emulator, mut stream: TcpStream) {
    // Without this, answers in two parts would wait for the other side's acknowledgement.
    let _ = stream.set_nodelay(true);
    loop {
        let service = service_fn(|request| service::answer(emulator.clone(), request));
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service);
        // Callers that hang up, and faults that cut the connection: the emulator exists for both.
        let Err(error) = (&mut connection).await else { return };
        let Some(Cut::Twice(answer)) = error.source().and_then(|cause| cause.downcast_ref()) else {
            tracing::debug!(%error, "a connection to the emulator broke");
            return;
        };
        stream = connection.into_parts().io.into_inner();
        if let Err(error) = write_twice(&stream, answer).await {
            tracing::debug!(%error, "a caller did not wait for the second answer");
            return;
        }
    }
}

/// Writes an answer in slow pieces, and the second one together with the last piece of the first. So a client that
/// waits only for the first always finds the second behind it.
async fn write_twice(stream: &TcpStream, answer: &[u8]) -> io::Result<()> {
    let (first, last) = answer.split_at(answer.len() - answer.len() / PIECES);
    for piece in first.chunks(answer.len().div_ceil(PIECES).max(1)) {
        write_all(stream, piece).await?;
        sleep(PIECE_PAUSE).await;
    }
    write_all(stream, &[last, answer].concat()).await
}

async fn write_all(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
