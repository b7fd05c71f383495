//! The interface to systemd: inherited sockets, and notifications that the service is ready, alive, or stopping.
//! Without systemd, all of this does nothing.

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

use crate::{domain::text::excerpt, error::Fault, lanes::Lanes, server::Listener};

/// The names of a port's sockets (`FileDescriptorName=` of a socket unit).
const CALLERS: &str = "callers";
const OPERATORS: &str = "operators";

/// The inherited sockets (`LISTEN_FDS`), assigned by their names, because their order is arbitrary if several units
/// pass them.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    /// For callers.
    pub(super) public: Vec<Inherited>,
    /// For operators.
    pub(super) admin: Vec<Inherited>,
}

/// An inherited socket that is not yet registered with a runtime.
#[derive(Debug)]
pub(super) enum Inherited {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Sockets {
    /// Takes the inherited sockets. Must run before any thread starts, because it changes the environment.
    ///
    /// # Errors
    /// When a socket has no known name, or is not a listening stream socket.
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
    let shown = excerpt(name);
    Fault::new(format!(
        "socket {index} of LISTEN_FDS is called `{shown}`, so its purpose is not known: set \
         `FileDescriptorName={CALLERS}` or `FileDescriptorName={OPERATORS}` in its socket unit"
    ))
}

fn socket(handed: &mut ListenFd, index: usize) -> Result<Inherited, Fault> {
    let unusable = |error: &io::Error| {
        Fault::new(format!("socket {index} of LISTEN_FDS cannot be used: {error}"))
    };
    // A socket that is not TCP stays in `handed`.
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

/// Notifies systemd of the service's state (`NOTIFY_SOCKET`).
#[derive(Debug, Default)]
pub(super) struct Notifier {
    socket: Option<UnixDatagram>,
    /// The time without a notification after which systemd considers the service dead.
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Creates a notifier from the environment. It only warns of unusable values, because the service works without
    /// them.
    pub(super) fn from_environment() -> Self {
        let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Self::default();
        };
        let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
        // If a parent process has a watchdog, its variables are in the environment of this process too.
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

    /// Reports that the service is ready to serve requests.
    pub(super) fn ready(&self) {
        self.tell("READY=1");
    }

    /// Reports the start of a reload, with its time as `sd_notify(3)` demands.
    pub(super) fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// Reports the end of a reload. The files in `failing` could not be loaded; their last good content stays in force.
    pub(super) fn reloaded(&self, failing: &[String]) {
        let status = if failing.is_empty() {
            "serving".to_owned()
        } else {
            format!("serving; not reloaded: {}", failing.join(", "))
        };
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    /// Reports that the service accepts no new connections any more, or will soon stop accepting them.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Notifies the watchdog twice as often as systemd demands, as long as the process is alive. If the runtime is
    /// stuck or a lane takes no turn, no notification is sent.
    pub(super) fn keep_alive(self: &Arc<Self>, lanes: Lanes) {
        let Some(every) = self.watchdog.map(|watchdog| watchdog / 2) else { return };
        let this = Arc::clone(self);
        tokio::spawn(async move {
            // At least a millisecond, because an interval of zero panics.
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

/// A socket connected to that name, which is a path, or `@` and an abstract name. It never waits for its reader.
fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(Path::new(name))?,
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}
