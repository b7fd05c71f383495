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
            net::{SocketAddr, UnixDatagram, UnixListener},
        },
    },
    path::Path,
    process,
    sync::Arc,
    time::Duration,
};

use listenfd::ListenFd;
use tokio::time::MissedTickBehavior;

use crate::{error::Fault, lanes::Lanes, server::Listener};

/// What the sockets of a port are called (`FileDescriptorName=` of a socket unit).
const CALLERS: &str = "callers";
const OPERATORS: &str = "operators";

/// Sockets that were bound before the process began (`LISTEN_FDS`), each for what its name says: their
/// order is by chance where several units hand them over.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    /// For callers.
    pub(super) public: Vec<Inherited>,
    /// For operators.
    pub(super) admin: Vec<Inherited>,
}

/// One of them, in no runtime yet.
#[derive(Debug)]
pub(super) enum Inherited {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Sockets {
    /// Takes what this process was handed. Before any thread begins: it changes the environment.
    ///
    /// # Errors
    /// When one has no known name, or is no stream socket that listens.
    pub(super) fn take() -> Result<Self, Fault> {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut handed = ListenFd::from_env();
        let names: Vec<&str> = names.split(':').collect();
        let mut sockets = Self::default();
        for index in 0..handed.len() {
            let name = names.get(index).copied().unwrap_or_default();
            let port = match name {
                CALLERS => &mut sockets.public,
                OPERATORS => &mut sockets.admin,
                other => return Err(unnamed(index, other)),
            };
            port.push(socket(&mut handed, index)?);
        }
        Ok(sockets)
    }
}

fn unnamed(index: usize, name: &str) -> Fault {
    let shown: String = name.escape_debug().take(64).collect();
    Fault::new(format!(
        "socket {index} of LISTEN_FDS is called `{shown}`, so its purpose is not known: set \
         `FileDescriptorName={CALLERS}` or `FileDescriptorName={OPERATORS}` in its socket unit"
    ))
}

fn socket(handed: &mut ListenFd, index: usize) -> Result<Inherited, Fault> {
    let unusable = |error: &io::Error| {
        Fault::new(format!("socket {index} of LISTEN_FDS cannot be used: {error}"))
    };
    // Whatever is no TCP socket stays where it is.
    if let Ok(Some(listener)) = handed.take_tcp_listener(index) {
        return Ok(Inherited::Tcp(listener));
    }
    match handed.take_unix_listener(index) {
        Ok(Some(listener)) => Ok(Inherited::Unix(listener)),
        Ok(None) => Err(unusable(&io::ErrorKind::NotFound.into())),
        Err(error) => Err(unusable(&error)),
    }
}

impl TryFrom<Inherited> for Listener {
    type Error = io::Error;

    fn try_from(inherited: Inherited) -> io::Result<Self> {
        match inherited {
            Inherited::Tcp(listener) => listener.try_into(),
            Inherited::Unix(listener) => listener.try_into(),
        }
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
                tracing::warn!(%error, "NOTIFY_SOCKET cannot be used: systemd will not learn that the gateway serves");
                Self::default()
            }
        }
    }

    /// Requests are served from now on.
    pub(super) fn ready(&self) {
        self.tell("READY=1");
    }

    /// Files are being loaded again (`sd_notify(3)`: with the time at which that began).
    pub(super) fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// They were loaded, but for these, whose last good ones stay in force.
    pub(super) fn reloaded(&self, failing: &[String]) {
        let status = if failing.is_empty() {
            "serving".to_owned()
        } else {
            format!("serving; not reloaded: {}", failing.join(", "))
        };
        self.tell(&format!("READY=1\nSTATUS={status}"));
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
            tracing::warn!(%error, state, "systemd could not be notified");
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
