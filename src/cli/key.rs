//! `key`: gives out access keys of the gateway's own, lists them, and ends them.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};

use super::{Stop, complain, configuration, print, runtime_files::RuntimeFiles, say};
use crate::{
    auth::{
        IssuedKeySettings, KeyEntry, KeyFile, KeyState, LastUses, MasterFile, NewKey, fresh_master,
        network, replace_file,
    },
    domain::KEYS_ISSUER,
    error::Fault,
    files,
    journal::{Filter, Offline, Settings},
};

/// The permissions of a new file of keys, which everybody may read, and of a new master secret.
const PUBLIC: u32 = 0o644;
const SECRET: u32 = 0o600;

/// How long a key may live, and how long an older master secret may be taken.
const MAX_SPAN: Duration = Duration::from_secs(2 * 366 * 24 * 3600);

/// How soon a running gateway knows of a change by itself.
const TAKES_EFFECT: &str =
    "a running gateway loads the file within some seconds, or at once with `zec-gateway reload`";

/// The same of a master secret, of which systemd gives a service a copy.
const MASTER_TAKES_EFFECT: &str = "a running gateway loads it within some seconds; if systemd passes it as a credential, run `systemctl reload`";

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a new access key, and print its id and its password, this once
    New(New),
    /// Show all access keys: when each ends, and when it was last used
    List(FilesArgs),
    /// End an access key now
    End {
        /// The id of a key, or the name of a caller, whose keys all end
        key: String,
        #[command(flatten)]
        files: FilesArgs,
    },
    /// Check the file of keys and the master secret, and say which keys end soon
    Check(FilesArgs),
    /// Replace the master secret, and print the new password of each key
    RotateMaster {
        /// How long the previous passwords stay valid, at most
        #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = keep)]
        keep: Duration,
        #[command(flatten)]
        files: FilesArgs,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct New {
    /// The name of the caller, which is keys/NAME in policies and in the record
    #[arg(long, value_name = "NAME")]
    name: String,
    /// A group of the caller, which is keys/GROUP in policies; may be repeated
    ///
    /// Without one, the caller is in no group.
    #[arg(long = "group", value_name = "GROUP", verbatim_doc_comment)]
    groups: Vec<String>,
    /// When the key ends: after a duration, as 90d, or at a time, as 2027-03-01T00:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = end)]
    ends: SystemTime,
    /// A network from which the key may be used, as 10.20.0.0/16; may be repeated
    ///
    /// Without one, from everywhere.
    #[arg(long, value_name = "NETWORK", value_parser = network, verbatim_doc_comment)]
    from: Vec<IpNet>,
    #[command(flatten)]
    files: FilesArgs,
}

/// Where the keys are.
#[derive(Debug, clap::Args)]
pub(super) struct FilesArgs {
    /// The configuration, whose table `auth.access_keys` names the files
    ///
    /// Without it, the files of `dev`.
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    config: Option<PathBuf>,
    /// The file with the master secret
    ///
    /// Without it, `auth.access_keys.master_file` of the configuration. systemd gives a
    /// service a copy, which nobody else can read: then name the original here.
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    master_file: Option<PathBuf>,
}

/// The files of the keys, and the record of what was done with them.
struct KeyFiles {
    settings: IssuedKeySettings,
    journal: Option<Settings>,
}

pub(super) fn run(command: &Command) -> Result<(), Stop> {
    match command {
        Command::New(args) => new(args),
        Command::List(files) => list(&files.find()?),
        Command::End { key, files } => end_now(key, &files.find()?),
        Command::Check(files) => check(&files.find()?),
        Command::RotateMaster { keep, files } => rotate_master(*keep, &files.find()?),
    }
}

impl FilesArgs {
    fn find(&self) -> Result<KeyFiles, Stop> {
        let (settings, journal) = match &self.config {
            None => (RuntimeFiles::open()?.access_keys()?, None),
            Some(path) => {
                let config = configuration(path)?;
                let settings = config.auth.access_keys.ok_or_else(|| {
                    let text = "there is no such table: add it, with `file` and `master_file`";
                    Fault::new(text).in_file(path).at_key("auth.access_keys")
                })?;
                (settings, Some(config.journal))
            }
        };
        let master_file = self.master_file.clone().unwrap_or(settings.master_file);
        Ok(KeyFiles { settings: IssuedKeySettings { master_file, ..settings }, journal })
    }
}

impl KeyFiles {
    fn keys(&self) -> Result<KeyFile, Vec<Fault>> {
        let path = &self.settings.file;
        let text = files::read_text(path).map_err(|error| unreadable(path, &error, ""))?;
        KeyFile::parse(path, text)
    }

    /// As [`Self::keys`]; without a file there are no keys yet.
    fn keys_if_any(&self) -> Result<KeyFile, Vec<Fault>> {
        let path = &self.settings.file;
        match files::read_text(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                KeyFile::parse(path, String::new())
            }
            _ => self.keys(),
        }
    }

    fn master(&self) -> Result<MasterFile, Vec<Fault>> {
        let path = &self.settings.master_file;
        let hint = "; `zec-gateway key rotate-master` makes the file if there is none";
        let text = files::read_text(path).map_err(|error| unreadable(path, &error, hint))?;
        MasterFile::parse(path, &text)
    }
}

fn unreadable(path: &Path, error: &io::Error, hint: &str) -> Vec<Fault> {
    vec![Fault::new(format!("cannot be read: {error}{hint}")).in_file(path)]
}

/// When a key ends. Nobody renews in time what lives for many years.
fn end(text: &str) -> Result<SystemTime, String> {
    let now = SystemTime::now();
    let ends = humantime::parse_rfc3339(text).ok();
    let ends = ends
        .or_else(|| humantime::parse_duration(text).ok().and_then(|span| now.checked_add(span)));
    match ends.map(|ends| (ends, ends.duration_since(now))) {
        Some((ends, Ok(left))) if !left.is_zero() && left <= MAX_SPAN => Ok(ends),
        Some(_) => Err("the end must be in the future, at most two years from now".to_owned()),
        None => {
            Err("write a duration, as 90d, or a time in UTC, as 2027-03-01T00:00:00Z".to_owned())
        }
    }
}

fn keep(text: &str) -> Result<Duration, String> {
    let keep = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if keep <= MAX_SPAN { Ok(keep) } else { Err("keep them for two years at most".to_owned()) }
}

fn new(args: &New) -> Result<(), Stop> {
    let files = args.files.find()?;
    // Before the key is made, because it would be worth nothing without a master secret.
    files.master()?;
    let New { name, groups, ends, from, .. } = args;
    let key =
        NewKey { name: name.clone(), groups: groups.clone(), ends: *ends, from: from.clone() };
    let path = &files.settings.file;
    let id = replace_file(path, PUBLIC, |before| {
        KeyFile::parse(path, before.unwrap_or_default())?.with_new(&key)
    })?;
    // And after it, because another command may have replaced the secret meanwhile, without knowing of the key.
    let password = files.master()?.password(&id);
    print(format_args!("id        {id}\npassword  {}", password.expose_secret()))?;
    let groups = if groups.is_empty() { "no group".to_owned() } else { groups.join(", ") };
    complain(format_args!(
        "note: the password is not shown again; `{KEYS_ISSUER}/{name}` is the caller, in {groups}, until {}; {TAKES_EFFECT}",
        time(*ends)
    ));
    warn_of_others(&files, &id)
}

/// Warns if another good key of the same caller is in other groups, because that is easily forgotten in a replacement.
fn warn_of_others(files: &KeyFiles, id: &str) -> Result<(), Stop> {
    let (keys, now) = (files.keys()?, SystemTime::now());
    let Some(new) = keys.entries().iter().find(|key| key.id == id) else { return Ok(()) };
    let others = keys.entries().iter().filter(|key| key.name == new.name && key.id != new.id);
    for other in others.filter(|key| key.state(now) != KeyState::Ended && key.groups != new.groups)
    {
        let groups = other.groups.join(", ");
        complain(format_args!(
            "warning: the key {} of the same caller is in other groups: {groups}",
            other.id
        ));
    }
    Ok(())
}

fn list(files: &KeyFiles) -> Result<(), Stop> {
    let keys = files.keys()?;
    let uses = LastUses::read(&files.settings.state_file).unwrap_or_else(|error| {
        complain(format_args!("note: {error}"));
        LastUses::default()
    });
    let journal = files.journal.as_ref().filter(|journal| journal.enabled && journal.path.exists());
    let journal = journal.map(|journal| Offline::open(&journal.path)).transpose()?;
    let now = SystemTime::now();
    let or_never = |at: Option<SystemTime>| at.map_or_else(|| "never".to_owned(), time);
    for key in keys.entries() {
        let wrote = match &journal {
            Some(journal) => or_never(last_write(journal, key)?),
            None => "not recorded".to_owned(),
        };
        let all =
            |items: Vec<String>| if items.is_empty() { "-".to_owned() } else { items.join(",") };
        say(format_args!(
            "{}  {KEYS_ISSUER}/{}  {}  ends {}  groups {}  from {}  used {}  caller wrote {wrote}",
            key.id,
            key.name,
            label(key.state(now)),
            time(key.ends),
            all(key.groups.clone()),
            all(key.from.iter().map(ToString::to_string).collect()),
            or_never(uses.of(&key.id)),
        ));
    }
    Ok(())
}

/// When the key's caller last wrote, by the record.
fn last_write(journal: &Offline, key: &KeyEntry) -> Result<Option<SystemTime>, Fault> {
    let caller = Some(format!("{KEYS_ISSUER}/{}", key.name));
    let newest = journal.list(&Filter { caller, ..Filter::newest(1) })?;
    Ok(newest.first().map(|view| view.started_at))
}

fn end_now(which: &str, files: &KeyFiles) -> Result<(), Stop> {
    let (path, now) = (&files.settings.file, SystemTime::now());
    let ended = replace_file(path, PUBLIC, |before| {
        let file = KeyFile::parse(path, before.unwrap_or_default())?;
        let all = file.entries().iter();
        // An id names one key, whatever names others have.
        let by_id: Vec<_> = all.clone().filter(|key| key.id == which).collect();
        let by_name = || all.filter(|key| key.name == which).collect();
        let meant: Vec<&KeyEntry> = if by_id.is_empty() { by_name() } else { by_id };
        let good = meant.iter().filter(|key| key.state(now) != KeyState::Ended);
        let ending: Vec<KeyEntry> = good.copied().cloned().collect();
        let fault = |text: &str| vec![Fault::new(format!("`{which}` {text}")).in_file(path)];
        match (meant.is_empty(), ending.is_empty()) {
            (true, _) => Err(fault("is neither the id nor the name of a key")),
            (false, true) => Err(fault("has ended already")),
            (false, false) => Ok((file.with_end(&ending, now), ending)),
        }
    })?;
    for key in ended {
        say(format_args!("{}  {KEYS_ISSUER}/{}  ended", key.id, key.name));
    }
    complain(format_args!("note: {TAKES_EFFECT}"));
    Ok(())
}

fn check(files: &KeyFiles) -> Result<(), Stop> {
    let (keys, master) = match (files.keys(), files.master()) {
        (Ok(keys), Ok(master)) => (keys, master),
        (keys, master) => {
            let faults = [keys.err().unwrap_or_default(), master.err().unwrap_or_default()];
            return Err(Stop::Faulty(faults.concat()));
        }
    };
    let now = SystemTime::now();
    for warning in keys.ending_soon(now) {
        complain(format_args!("warning: {warning}"));
    }
    for until in master.older_until().filter(|until| now < *until) {
        complain(format_args!(
            "note: passwords of an older master secret are valid until {}",
            time(until)
        ));
    }
    let count = |state| keys.entries().iter().filter(|key| key.state(now) == state).count();
    say(format_args!(
        "{}: {} keys, {} of them end within 14 days, {} have ended",
        files.settings.file.display(),
        keys.entries().len(),
        count(KeyState::Ending),
        count(KeyState::Ended)
    ));
    Ok(())
}

fn rotate_master(keep: Duration, files: &KeyFiles) -> Result<(), Stop> {
    let (path, now) = (&files.settings.master_file, SystemTime::now());
    // Before the secret is replaced, so that a fault in it stops the command.
    files.keys_if_any()?;
    let fresh = fresh_master()?;
    let (master, first) = replace_file(path, SECRET, |before| {
        let first = before.is_none();
        let text = match before {
            Some(before) => MasterFile::parse(path, &before)?.rotated(&fresh, keep, now),
            None => SecretString::from(format!("{}\n", fresh.expose_secret())),
        };
        let master = MasterFile::parse(path, text.expose_secret())?;
        Ok((text.expose_secret().to_owned(), (master, first)))
    })?;
    // And after it, so that no key is left out that was made meanwhile.
    let keys = files.keys_if_any()?;
    for key in keys.entries().iter().filter(|key| key.state(now) != KeyState::Ended) {
        let password = master.password(&key.id);
        print(format_args!(
            "{}  {KEYS_ISSUER}/{}  {}",
            key.id,
            key.name,
            password.expose_secret()
        ))?;
    }
    let previous = match (first, keep.is_zero()) {
        (true, _) => "the master secret is made; `zec-gateway key new` makes keys".to_owned(),
        (false, true) => "the previous passwords end".to_owned(),
        (false, false) => {
            format!("the previous passwords stay valid for {}", humantime::format_duration(keep))
        }
    };
    complain(format_args!("note: {previous}; {MASTER_TAKES_EFFECT}"));
    Ok(())
}

const fn label(state: KeyState) -> &'static str {
    match state {
        KeyState::Valid => "good",
        KeyState::Ending => "ends soon",
        KeyState::Ended => "ended",
    }
}

fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string()
}
