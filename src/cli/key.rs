//! `key`: gives out access keys of the gateway's own, lists them, and ends them.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};

use super::{Stop, complain, configuration, runtime_files::RuntimeFiles, say};
use crate::{
    auth::{
        AccessKeySettings, KEYS_ISSUER, KeyEntry, KeyFile, KeyState, LastUses, MasterFile, NewKey,
        network, replace_file,
    },
    error::Fault,
    files,
    journal::{Filter, Offline, Settings},
};

/// The permissions of a new file of keys, which everybody may read, and of a new master secret.
const PUBLIC: u32 = 0o644;
const SECRET: u32 = 0o600;

/// The random bytes of a new master secret.
const MASTER_BYTES: usize = 32;

/// How long a key may live, and how long an older master secret may be taken.
const MAX_SPAN: Duration = Duration::from_secs(2 * 366 * 24 * 3600);

/// How soon a running gateway knows of a change by itself.
const TAKES_EFFECT: &str = "a running gateway knows of this within some seconds; `zec-gateway reload` makes it load the file at once";

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a new access key, and print its id and its password, this once
    New(New),
    /// Show all access keys: when each ends, and when it was last used
    List(Where),
    /// End an access key now
    End {
        /// The id of a key, or the name of a caller, whose keys all end
        key: String,
        #[command(flatten)]
        place: Where,
    },
    /// Check the file of keys and the master secret, and say which keys end soon
    Check(Where),
    /// Replace the master secret, and print the new password of each key
    RotateMaster {
        /// How long the passwords of before are taken as well
        #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = keep)]
        keep: Duration,
        #[command(flatten)]
        place: Where,
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
    place: Where,
}

/// Where the keys are.
#[derive(Debug, clap::Args)]
pub(super) struct Where {
    /// The configuration, whose table `auth.access_keys` names the files
    ///
    /// Without it, the files of `dev`.
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    config: Option<PathBuf>,
    /// The file with the master secret, if not the one that the configuration names
    ///
    /// Without it, that one. systemd gives a service a copy, which nobody else can read.
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    master_file: Option<PathBuf>,
}

/// The files of the keys, and the record of what was done with them.
struct Place {
    settings: AccessKeySettings,
    journal: Option<Settings>,
}

pub(super) fn run(command: &Command) -> Result<(), Stop> {
    match command {
        Command::New(args) => new(args),
        Command::List(place) => list(&place.find()?),
        Command::End { key, place } => end_now(key, &place.find()?),
        Command::Check(place) => check(&place.find()?),
        Command::RotateMaster { keep, place } => rotate_master(*keep, &place.find()?),
    }
}

impl Where {
    fn find(&self) -> Result<Place, Stop> {
        let (settings, journal) = match &self.config {
            None => (RuntimeFiles::open()?.access_keys(), None),
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
        Ok(Place { settings: AccessKeySettings { master_file, ..settings }, journal })
    }
}

impl Place {
    /// The file of keys.
    fn keys(&self) -> Result<KeyFile, Vec<Fault>> {
        let path = &self.settings.file;
        match files::read_text(path) {
            Ok(text) => KeyFile::parse(path, text),
            Err(error) => Err(vec![Fault::new(format!("cannot be read: {error}")).in_file(path)]),
        }
    }

    fn master(&self) -> Result<MasterFile, Vec<Fault>> {
        let path = &self.settings.master_file;
        let text = files::read_text(path).map_err(|error| {
            vec![Fault::new(format!("cannot be read: {error}; `zec-gateway key rotate-master` makes the file if there is none")).in_file(path)]
        })?;
        MasterFile::parse(path, &text)
    }
}

/// When a key ends. One that lives for years is one that nobody renews in time.
fn end(text: &str) -> Result<SystemTime, String> {
    let now = SystemTime::now();
    let ends = humantime::parse_rfc3339(text).ok();
    let ends = ends
        .or_else(|| humantime::parse_duration(text).ok().and_then(|span| now.checked_add(span)));
    match ends.map(|ends| (ends, ends.duration_since(now))) {
        Some((ends, Ok(left))) if !left.is_zero() && left <= MAX_SPAN => Ok(ends),
        Some(_) => Err("a key ends within two years, and not before it begins".to_owned()),
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
    let place = args.place.find()?;
    let master = place.master()?;
    let New { name, groups, ends, from, .. } = args;
    let key =
        NewKey { name: name.clone(), groups: groups.clone(), ends: *ends, from: from.clone() };
    let path = &place.settings.file;
    let id = replace_file(path, PUBLIC, |before| {
        KeyFile::parse(path, before.unwrap_or_default())?.with_new(&key)
    })?;
    say(format_args!("id        {id}"));
    say(format_args!("password  {}", master.password(&id).expose_secret()));
    complain(format_args!(
        "note: the password is not shown again; `{KEYS_ISSUER}/{name}` is the caller, until {}; {TAKES_EFFECT}",
        humantime::format_rfc3339_seconds(*ends)
    ));
    Ok(())
}

fn list(place: &Place) -> Result<(), Stop> {
    let keys = place.keys()?;
    let uses = LastUses::read(&place.settings.state_file).unwrap_or_else(|error| {
        complain(format_args!("note: {error}"));
        LastUses::default()
    });
    let journal = place.journal.as_ref().filter(|journal| journal.enabled && journal.path.exists());
    let journal = journal.map(|journal| Offline::open(&journal.path)).transpose()?;
    let now = SystemTime::now();
    for key in keys.entries() {
        let used = match uses.of(&key.id) {
            0 => "never".to_owned(),
            at => time(SystemTime::UNIX_EPOCH + Duration::from_secs(at)),
        };
        let wrote = match &journal {
            Some(journal) => last_write(journal, key)?.map_or_else(|| "never".to_owned(), time),
            None => "not recorded".to_owned(),
        };
        let all =
            |items: Vec<String>| if items.is_empty() { "-".to_owned() } else { items.join(",") };
        say(format_args!(
            "{}  {KEYS_ISSUER}/{}  {}  ends {}  groups {}  from {}  used {used}  wrote {wrote}",
            key.id,
            key.name,
            word(key.state(now)),
            time(key.ends),
            all(key.groups.clone()),
            all(key.from.iter().map(ToString::to_string).collect()),
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

fn end_now(which: &str, place: &Place) -> Result<(), Stop> {
    let (path, now) = (&place.settings.file, SystemTime::now());
    let ended = replace_file(path, PUBLIC, |before| {
        let file = KeyFile::parse(path, before.unwrap_or_default())?;
        let named = |key: &&KeyEntry| key.id == which || key.name == which;
        let good = |key: &&KeyEntry| key.state(now) != KeyState::Ended;
        let ending: Vec<KeyEntry> =
            file.entries().iter().filter(named).filter(good).cloned().collect();
        if ending.is_empty() {
            let known = file.entries().iter().any(|key| named(&key));
            let text =
                if known { "has ended already" } else { "is neither the id nor the name of a key" };
            return Err(vec![Fault::new(format!("`{which}` {text}")).in_file(path)]);
        }
        Ok((file.with_end(&ending, now), ending))
    })?;
    for key in ended {
        say(format_args!("{}  {KEYS_ISSUER}/{}  ended", key.id, key.name));
    }
    complain(format_args!("note: {TAKES_EFFECT}"));
    Ok(())
}

fn check(place: &Place) -> Result<(), Stop> {
    let (keys, _) = match (place.keys(), place.master()) {
        (Ok(keys), Ok(master)) => (keys, master),
        (keys, master) => {
            let faults = [keys.err(), master.err()];
            return Err(Stop::Faulty(faults.into_iter().flatten().flatten().collect()));
        }
    };
    let now = SystemTime::now();
    for warning in keys.ending_soon(now) {
        complain(format_args!("warning: {warning}"));
    }
    let count = |state| keys.entries().iter().filter(|key| key.state(now) == state).count();
    say(format_args!(
        "{}: {} keys, {} of them end within 14 days, {} have ended",
        place.settings.file.display(),
        keys.entries().len(),
        count(KeyState::Ending),
        count(KeyState::Ended)
    ));
    Ok(())
}

fn rotate_master(keep: Duration, place: &Place) -> Result<(), Stop> {
    let (path, now) = (&place.settings.master_file, SystemTime::now());
    let keys = if place.settings.file.exists() { Some(place.keys()?) } else { None };
    let fresh = fresh_secret()?;
    let master = replace_file(path, SECRET, |before| {
        let text = match before {
            Some(before) => MasterFile::parse(path, &before)?.rotated(&fresh, keep, now),
            None => SecretString::from(format!("{}\n", fresh.expose_secret())),
        };
        let master = MasterFile::parse(path, text.expose_secret())?;
        Ok((text.expose_secret().to_owned(), master))
    })?;
    let good = keys.iter().flat_map(KeyFile::entries);
    for key in good.filter(|key| key.state(now) != KeyState::Ended) {
        let password = master.password(&key.id);
        say(format_args!("{}  {KEYS_ISSUER}/{}  {}", key.id, key.name, password.expose_secret()));
    }
    complain(format_args!(
        "note: the passwords are not shown again; those of before are taken for {} more; {TAKES_EFFECT}",
        humantime::format_duration(keep)
    ));
    Ok(())
}

/// A new master secret.
pub(super) fn fresh_secret() -> Result<SecretString, Fault> {
    let mut random = [0; MASTER_BYTES];
    aws_lc_rs::rand::fill(&mut random)
        .map_err(|_| Fault::new("the system gives no random bytes: try again"))?;
    let digits = random.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = digits.filter_map(|digit| char::from_digit(digit.into(), 16));
    Ok(SecretString::from(digits.collect::<String>()))
}

const fn word(state: KeyState) -> &'static str {
    match state {
        KeyState::Valid => "good",
        KeyState::Ending => "ends soon",
        KeyState::Ended => "ended",
    }
}

fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string()
}
