//! What systemd hands to a service, and what it wants to hear: sockets that it has bound, and that
//! the service is ready, alive, and stopping. Without systemd all of this is nothing.

use std::{
    env,
    ffi::OsStr,
    io,
    net::TcpListener,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    path::Path,
    process,
    sync::Arc,
    time::Duration,
};

use listenfd::ListenFd;
use tokio::time::MissedTickBehavior;

use crate::{error::Fault, lanes::Lanes};

/// Sockets that were bound before the process began (`LISTEN_FDS`).
#[derive(Debug, Default)]
pub(super) struct Sockets {
    /// The first: for callers.
    pub(super) public: Option<TcpListener>,
    /// The second: for operators.
    pub(super) admin: Option<TcpListener>,
}

impl Sockets {
    /// Takes what this process was handed. Before any thread begins: it changes the environment.
    ///
    /// # Errors
    /// When there are more than two, or one of them is no TCP socket that listens.
    pub(super) fn take() -> Result<Self, Fault> {
        let mut handed = ListenFd::from_env();
        if handed.len() > 2 {
            return Err(Fault::new(format!(
                "{} sockets were handed over (LISTEN_FDS): there may be one for callers, and behind it one for operators",
                handed.len()
            )));
        }
        let mut take = |index| {
            handed.take_tcp_listener(index).map_err(|error| {
                Fault::new(format!("socket {index} of LISTEN_FDS cannot be used: {error}"))
            })
        };
        Ok(Self { public: take(0)?, admin: take(1)? })
    }
}

/// Tells systemd how the service is (`NOTIFY_SOCKET`).
#[derive(Debug, Default)]
pub(super) struct Notifier {
    socket: Option<UnixDatagram>,
    /// After so long without a word systemd takes the service for dead.
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As the environment says; what cannot be used is warned of, for the service can do without.
    pub(super) fn from_environment() -> Self {
        let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Self::default();
        };
        let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
        // A watchdog for another process is set too where that started this one.
        let mine = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|micros| mine && *micros > 0);
        match connect(&name) {
            Ok(socket) => {
                Self { socket: Some(socket), watchdog: watchdog.map(Duration::from_micros) }
            }
            Err(error) => {
                tracing::warn!(%error, "NOTIFY_SOCKET cannot be used: systemd will not hear that the gateway serves");
                Self::default()
            }
        }
    }

    /// Requests are served from now on.
    pub(super) fn ready(&self) {
        self.tell("READY=1");
    }

    /// No new connection is taken any more, or soon.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Says that the process lives, twice as often as systemd wants, for as long as it does: a runtime
    /// that is stuck, or a lane that takes no turn, says nothing.
    pub(super) fn keep_alive(self: &Arc<Self>, lanes: Lanes) {
        let Some(every) = self.watchdog.map(|watchdog| watchdog / 2) else { return };
        let this = Arc::clone(self);
        tokio::spawn(async move {
            // No less than a millisecond: an interval of nothing is a panic.
            let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                lanes.take_turns().await;
                this.tell("WATCHDOG=1");
            }
        });
    }

    fn tell(&self, state: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.send(state.as_bytes()) {
            tracing::warn!(%error, state, "systemd could not be told");
        }
    }
}

/// A socket to that name, a path or `@` and an abstract name; never waits for its reader.
fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(Path::new(name))?,
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}
