//! Access keys that the gateway itself gives out, for clients that know no tokens: they sign each request as they would
//! sign it for ZEC (ZC2-HMAC-SHA256; docs/zec-api.md, section 2).
//!
//! The check is written apart from the signer of the gateway's own requests (`zec/sign.rs`), so that the same fault in
//! both cannot hide itself. It remembers no signatures: clients send the same request again, with the same signature.

mod edit;
mod file;
mod header;
mod hex;
mod issued;
mod master;
mod networks;
mod signature;
mod uses;

use std::{
    fs, io,
    net::IpAddr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use http::HeaderMap;

pub use edit::{NewKey, replace_file};
pub use file::{KeyEntry, KeyFile};
use header::Claimed;
pub(super) use header::SCHEME;
pub use issued::KeyState;
use issued::{FilesRead, Issued, IssuedKey};
pub use master::{MasterFile, fresh_master};
pub use networks::{NetworkError, network};
use signature::Canonical;
pub use uses::LastUses;

use super::refusal::Refusal;
use crate::{
    domain::{Caller, KEYS_ISSUER},
    error::Fault,
    files::ReadFile,
    metrics::{AuthResult, Metrics},
};

/// Why signatures need a connection that nobody else can read.
pub const NEED_TLS: &str = "access keys need TLS, or a listener on loopback: a signature covers neither the action \
    nor the path, so a call that others can read lets them make other calls for five minutes; set `[server.tls]`, or \
    listen on loopback";

/// How far a timestamp may be from our clock, either way. ZEC's own bound (docs/zec-api.md, section 1).
const MAX_SKEW: Duration = Duration::from_secs(300);

/// The permission of all others to read a file.
const READABLE_BY_ALL: u32 = 0o004;

/// How often the gateway looks which keys end soon, and keeps the last uses.
const TICK: Duration = Duration::from_secs(60);

/// ZEC's codes of signatures that are refused; its clients read them (docs/zec-api.md, section 4).
const BAD_SIGNATURE: &str = "AUTHFAILURE_SIGNATURE_FAILURE";
const WRONG_TIME: &str = "AUTHFAILURE_SIGNATURE_EXPIRED";

/// Where the keys are (`[auth.access_keys]`).
#[derive(Clone, Debug)]
pub struct IssuedKeySettings {
    /// The file of keys, which holds no secret.
    pub file: PathBuf,
    /// The file with the master secret, from which every password is derived.
    pub master_file: PathBuf,
    /// The file in which the gateway keeps when each key was last used.
    pub state_file: PathBuf,
}

/// The access keys in force.
#[derive(Debug)]
pub struct IssuedKeys {
    settings: IssuedKeySettings,
    issued: ArcSwap<Issued>,
    /// The last uses that the file holds.
    kept: ArcSwap<LastUses>,
    metrics: Arc<Metrics>,
}

/// The head of a request, as far as a signature speaks of it.
#[derive(Clone, Copy, Debug)]
pub struct SignedHead<'a> {
    /// The headers as they came.
    pub headers: &'a HeaderMap,
    /// `:authority`, or the host of the target, if the request has no header `Host`.
    pub authority: Option<&'a str>,
}

/// A request whose signature can be checked once its body has been read.
#[derive(Debug)]
pub struct SignedRequest {
    /// The id of the key that the request names; perhaps no key has it.
    id: String,
    canonical: Canonical,
    signature: signature::Signature,
}

impl IssuedKeys {
    /// Loads the keys, and the last uses that were kept; `read` reads the files.
    ///
    /// # Errors
    /// Every fault of the file of keys and of the master secret.
    pub fn load(
        settings: &IssuedKeySettings,
        metrics: Arc<Metrics>,
        read: ReadFile<'_>,
    ) -> Result<Self, Vec<Fault>> {
        let uses = LastUses::read(&settings.state_file).unwrap_or_else(|error| {
            tracing::warn!("{error}; the last uses of access keys are not known");
            LastUses::default()
        });
        let issued = Issued::new(FilesRead::read(settings, read), &|id| uses.seconds(id))?;
        metrics.access_keys_taken(KEYS_ISSUER);
        let (issued, kept) = (ArcSwap::from_pointee(issued), ArcSwap::from_pointee(uses));
        let keys = Self { settings: settings.clone(), issued, kept, metrics };
        keys.count(SystemTime::now());
        Ok(keys)
    }

    /// Replaces all keys by those that are now in the files. Returns how many there are.
    ///
    /// # Errors
    /// Every fault. What a faulty file held before stays in force.
    pub fn reload(&self, read: ReadFile<'_>) -> Result<usize, Vec<Fault>> {
        let files = FilesRead::read(&self.settings, read);
        let (issued, faults) = self.issued.load().replaced(files)?;
        let keys = issued.len();
        self.issued.store(Arc::new(issued));
        self.count(SystemTime::now());
        self.warn(SystemTime::now());
        if faults.is_empty() { Ok(keys) } else { Err(faults) }
    }

    /// A warning for each caller whose last key ends soon.
    #[must_use]
    pub fn warnings(&self, now: SystemTime) -> Vec<Fault> {
        self.issued.load().ending_soon(now)
    }

    /// The warnings of a start: as [`Self::warnings`], and one if everybody on this machine can read the master secret.
    pub(super) fn warnings_at_start(&self) -> Vec<Fault> {
        let path = &self.settings.master_file;
        let mode = fs::metadata(path).map_or(0, |metadata| metadata.mode());
        let open = (mode & READABLE_BY_ALL != 0).then(|| {
            let text = "everybody on this machine can read the master secret: `chmod o= FILE`";
            Fault::new(text).in_file(path).at_key(MASTER_KEY)
        });
        open.into_iter().chain(self.warnings(SystemTime::now())).collect()
    }

    /// Whether there is a key.
    pub(super) fn any(&self) -> bool {
        self.issued.load().len() > 0
    }

    /// Looks at the head of a signed request: its form and its time. `text` is the value of `Authorization` after the
    /// scheme.
    ///
    /// # Errors
    /// When the form or the time is wrong.
    pub(super) fn begin(
        text: &str,
        head: SignedHead<'_>,
        now: SystemTime,
    ) -> Result<SignedRequest, Refusal> {
        let claimed = Claimed::parse(text)?;
        let timestamp = header::timestamp(head.headers)?;
        check_time(timestamp.seconds, now).map_err(|refusal| refusal.about(claimed.id))?;
        let canonical = Canonical::new(&claimed, head, timestamp.text)?;
        Ok(SignedRequest { id: claimed.id.to_owned(), canonical, signature: claimed.signature })
    }

    /// Checks the signature of a request over its body, then that the key has not ended and may be used from `client`.
    /// The keys are those of now, not those of the time when the head came.
    ///
    /// # Errors
    /// When the caller must not be let in.
    pub(super) fn check(
        &self,
        request: &SignedRequest,
        body: &[u8],
        client: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Caller, Refusal> {
        let issued = self.issued.load();
        let key = issued.find(&request.id);
        // A key that does not exist is checked like one that does, and the answer comes after the same work.
        let passwords = key.map_or(&issued.nobodys, |key| &key.passwords);
        let good = request.canonical.is_signed(passwords, &request.signature, body, now);
        let checked = match key.filter(|_| good) {
            Some(key) => key.admit(client, now),
            None => Err(Refusal::new(
                AuthResult::BadSignature,
                "the access key does not exist, or the signature is not the one that its password makes: check id and \
                 password; nothing between client and gateway may change `Host`, `Content-Type` or the body",
            )
            .with_code(BAD_SIGNATURE)),
        };
        checked.map_err(|refusal| {
            refusal.about(&format!(
                "{}; the gateway saw {}",
                request.id,
                request.canonical.signed_headers()
            ))
        })
    }

    /// Looks every minute which keys end soon, and keeps the last uses; for ever.
    pub async fn watch_forever(&self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // The warnings of the start have been logged.
        let (mut warned, mut said) = (day(SystemTime::now()), None);
        loop {
            ticks.tick().await;
            let now = SystemTime::now();
            self.count(now);
            if day(now) != warned {
                warned = day(now);
                self.warn(now);
            }
            let failed = self.keep_uses().await.err();
            if let Some(error) = failed.as_ref().filter(|error| said.as_ref() != Some(*error)) {
                tracing::warn!("{error}; the last uses of access keys are not kept");
            }
            said = failed;
        }
    }

    /// Writes the last uses to their file, if it does not hold them yet.
    ///
    /// # Errors
    /// Why they cannot be written.
    pub async fn keep_uses(&self) -> Result<(), String> {
        let uses = Arc::new(self.issued.load().last_uses().collect::<LastUses>());
        if *uses == **self.kept.load() {
            return Ok(());
        }
        let (path, written) = (self.settings.state_file.clone(), Arc::clone(&uses));
        let written = tokio::task::spawn_blocking(move || written.write(&path)).await;
        written.unwrap_or_else(|error| Err(error.to_string()))?;
        self.kept.store(uses);
        Ok(())
    }

    fn count(&self, now: SystemTime) {
        self.metrics.access_keys(&self.issued.load().counts(now));
    }

    fn warn(&self, now: SystemTime) {
        for fault in self.warnings(now) {
            tracing::warn!("{fault}");
        }
    }
}

impl IssuedKey {
    /// The caller, if a request with the right signature may come from `client` at that time. Only a caller with the
    /// password learns why not.
    fn admit(&self, client: Option<IpAddr>, now: SystemTime) -> Result<Caller, Refusal> {
        if now >= self.ends {
            return Err(Refusal::new(
                AuthResult::Expired,
                format!(
                    "this access key ended at {}: ask the gateway's operators for a new one",
                    humantime::format_rfc3339_seconds(self.ends)
                ),
            ));
        }
        if !networks::admit(&self.from, client) {
            let client = client.map_or("no address".to_owned(), |client| client.to_string());
            let networks: Vec<_> = self.from.iter().map(ToString::to_string).collect();
            return Err(Refusal::new(
                AuthResult::WrongNetwork,
                format!(
                    "you call from {client}, and this access key is for {}: call from there, or ask the gateway's \
                     operators for another key",
                    networks.join(", ")
                ),
            ));
        }
        self.note_use(now);
        Ok(self.caller.clone())
    }
}

/// The number of a day.
fn day(now: SystemTime) -> u64 {
    now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() / (24 * 3600)
}

fn check_time(timestamp: u64, now: SystemTime) -> Result<(), Refusal> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let away = timestamp.abs_diff(now);
    if away <= MAX_SKEW.as_secs() {
        return Ok(());
    }
    if timestamp / 100 > now {
        return Err(Refusal::new(
            AuthResult::WrongTime,
            "`X-ZC-Timestamp` is not in seconds: send the Unix time in seconds, not in milliseconds",
        )
        .with_code(WRONG_TIME));
    }
    let side = if timestamp < now { "behind" } else { "ahead of" };
    Err(Refusal::new(
        AuthResult::WrongTime,
        format!("`X-ZC-Timestamp` is {away} s {side} the gateway's clock, and 300 s are allowed: set the client's clock, and sign each attempt again"),
    )
    .with_code(WRONG_TIME))
}

/// The keys of the configuration that name the two files.
const FILE_KEY: &str = "auth.access_keys.file";
const MASTER_KEY: &str = "auth.access_keys.master_file";

/// Reads a file as text, or says why not.
fn text_of(path: &Path, key: &str, read: ReadFile<'_>) -> Result<String, Fault> {
    let fault = |text: String| Fault::new(text).in_file(path).at_key(key.to_owned());
    let bytes = read(path).map_err(|error: io::Error| {
        let hint = match (error.kind(), key) {
            (io::ErrorKind::NotFound, FILE_KEY) => "; `zec-gateway key new` makes it",
            (io::ErrorKind::NotFound, _) => "; `zec-gateway key rotate-master` makes it",
            _ => "",
        };
        fault(format!("cannot be read: {error}{hint}"))
    })?;
    // Bytes that are not text are not shown, not even in part.
    String::from_utf8(bytes).map_err(|_| fault("is not UTF-8".to_owned()))
}

#[cfg(test)]
mod tests;
