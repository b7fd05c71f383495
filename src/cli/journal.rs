//! `journal`: verifies, lists, shows and exports the record of writes.

use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde_json::{json, value::RawValue};

use super::{Stop, complain, say};
use crate::{
    domain::{NicId, OperationId, Outcome, Resource, text::plain},
    error::Fault,
    journal::{Entry, Expected, Filter, Offline, View},
};

/// The fewest digits of a hash to compare; fewer could match by chance or by an attacker's effort.
const LEAST_DIGITS: usize = 16;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Check the whole chain of entries; exits 1 at the first broken link
    Verify(Verify),
    /// Show writes, newest first, one line each
    List(List),
    /// Show one write: its outcome, who asked, why it was allowed, and the vNIC before it
    Show {
        /// The journal's file, `journal.path` of the configuration
        file: PathBuf,
        /// The operation's id, as `operationId` in an answer
        id: String,
    },
    /// Print every entry with its hashes, one line of JSON each
    Export {
        /// The journal's file, `journal.path` of the configuration
        file: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// The journal's file, `journal.path` of the configuration
    file: PathBuf,
    /// A hash noted earlier, or its first 16 digits or more; of entry --length, if that is given
    ///
    /// Without it, the end is not compared with anything.
    #[arg(long, value_name = "HASH", verbatim_doc_comment)]
    head: Option<String>,
    /// How many entries there were earlier, at least
    ///
    /// Without it, any number of entries is accepted.
    #[arg(long, value_name = "N", verbatim_doc_comment, value_parser = clap::value_parser!(i64).range(0..))]
    length: Option<i64>,
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// The journal's file, `journal.path` of the configuration
    file: PathBuf,
    /// Only writes on this vNIC, by its id
    ///
    /// Without it, writes on every resource.
    #[arg(long, value_name = "ID", verbatim_doc_comment)]
    nic: Option<String>,
    /// Only writes on this resource, as nic/1612345678901234567
    ///
    /// Without it, writes on every resource.
    #[arg(long, value_name = "TYPE/ID", verbatim_doc_comment, conflicts_with = "nic")]
    resource: Option<String>,
    /// Only writes with this outcome
    ///
    /// pending, done, rejected, not-sent, unknown or not-done. Without it, writes with any outcome.
    #[arg(long, value_name = "OUTCOME", verbatim_doc_comment)]
    outcome: Option<String>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

pub(super) fn run(command: &Command) -> Result<(), Stop> {
    match command {
        Command::Verify(args) => verify(args),
        Command::List(args) => list(args),
        Command::Show { file, id } => show(file, id),
        Command::Export { file } => export(file),
    }
}

/// Opens a journal, and prints its warnings on stderr.
fn open(file: &Path) -> Result<Offline, Stop> {
    let journal = Offline::open(file)?;
    if let Some(note) = journal.note() {
        complain(format_args!("note: {}: {note}", file.display()));
    }
    Ok(journal)
}

fn verify(args: &Verify) -> Result<(), Stop> {
    let head = args.head.as_ref().map(|head| head.to_ascii_lowercase());
    let is_hash = |head: &String| {
        (LEAST_DIGITS..=64).contains(&head.len()) && head.bytes().all(|b| b.is_ascii_hexdigit())
    };
    if head.as_ref().is_some_and(|head| !is_hash(head)) {
        return Err(Stop::Usage(format!(
            "--head is a hash of 64 hexadecimal digits, or its first {LEAST_DIGITS} or more"
        )));
    }
    let journal = open(&args.file)?;
    match journal.verify(&Expected { head, length: args.length })? {
        Ok(head) => {
            match journal.start()? {
                None => say(format_args!("{} entries, every link holds", head.length)),
                Some((start, at)) => say(format_args!(
                    "entries 1 to {} expired and were deleted, the last of them at {}; {} remain, every link holds",
                    start.length,
                    time(at),
                    head.length - start.length
                )),
            }
            say(format_args!("head {}", head.hash));
            Ok(())
        }
        Err(broken) => Err(Fault::new(broken.to_string()).in_file(&args.file).into()),
    }
}

fn list(args: &List) -> Result<(), Stop> {
    let usage = |error: &dyn std::fmt::Display| Stop::Usage(error.to_string());
    let nic = args.nic.as_deref().map(NicId::parse).transpose().map_err(|e| usage(&e))?;
    let named = args.resource.as_deref().map(Resource::parse).transpose();
    let resource = nic.as_ref().map(Resource::nic).or(named.map_err(|e| usage(&e))?);
    let outcome = match &args.outcome {
        None => None,
        Some(label) => Some(Outcome::from_label(label).ok_or_else(|| {
            let known = Outcome::ALL.map(Outcome::label).join(", ");
            Stop::Usage(format!("`{label}` is not an outcome: use one of {known}"))
        })?),
    };
    let filter = Filter { resource, outcome, ..Filter::newest(args.limit) };
    for view in open(&args.file)?.list(&filter)? {
        say(harmless(&format!(
            "{}  {}  {:8}  {}  {}  {}  {}",
            time(view.started_at),
            view.id,
            view.outcome.label(),
            view.call.action,
            resources(&view),
            addresses(&view),
            view.caller,
        )));
    }
    Ok(())
}

fn show(file: &Path, id: &str) -> Result<(), Stop> {
    let id = OperationId::parse(id).map_err(|error| Stop::Usage(error.to_string()))?;
    let Some(view) = open(file)?.find(id)? else {
        return Err(Fault::new(format!("the journal has no operation {id}")).in_file(file).into());
    };
    let line = |name: &str, text: &str| {
        say(format_args!("{name:14}{}", harmless(text)));
    };
    say(verdict(view.outcome));
    say("");
    line("operation", &view.id.to_string());
    line("outcome", view.outcome.label());
    line("action", &view.call.action);
    line("API version", &view.call.api_version);
    line("resources", &resources(&view));
    line("arguments", view.call.arguments.get());
    line("caller", &view.caller);
    line("allowed by", &view.policies.join(", "));
    line("policy", &view.policy_version);
    line("started", &time(view.started_at));
    line("finished", &view.finished_at.map_or_else(|| "not yet".to_owned(), time));
    line("request", &view.request_id);
    for (name, text) in [
        ("ZEC's request", &view.zec_request_id),
        ("code", &view.code),
        ("status", &view.status.map(|status| status.to_string())),
        ("detail", &view.detail),
    ] {
        if let Some(text) = text {
            line(name, text);
        }
    }
    match &view.before {
        None => line("before", "the vNIC was not read"),
        Some(before) => say(format_args!("\nThe vNIC before:\n{}", indented(before))),
    }
    Ok(())
}

/// Without control characters: some of the text comes from outside, and this prints to a terminal.
fn harmless(text: &str) -> String {
    plain(text, usize::MAX)
}

/// Whether the write happened.
const fn verdict(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pending => {
            "It was about to be sent, and nothing more is known: it still runs, or the gateway stopped meanwhile. Check the vNIC."
        }
        Outcome::Done => "It happened: ZEC made the change.",
        Outcome::Rejected => "It did not happen: ZEC refused it and changed nothing.",
        Outcome::NotSent => "It did not happen: nothing reached ZEC.",
        Outcome::Unknown => {
            "It is not known whether it happened: it may have reached ZEC. Check the vNIC."
        }
        Outcome::NotDone => {
            "It did not happen: the gateway read the vNIC later, and it showed no change."
        }
    }
}

fn export(file: &Path) -> Result<(), Stop> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut written = Ok(());
    open(file)?.entries(|_, entry| {
        written = writeln!(out, "{}", exported(&entry));
        written.is_ok()
    })?;
    // A closed pipe is not an error.
    let _ = written.and_then(|()| out.flush());
    Ok(())
}

/// The content is a text, because the hash is over its exact bytes.
fn exported(entry: &Entry) -> String {
    json!({
        "seq": entry.seq,
        "content": entry.content,
        "previous": entry.previous.to_string(),
        "hash": entry.hash.to_string(),
    })
    .to_string()
}

fn resources(view: &View) -> String {
    listed(view.call.resources.iter().map(ToString::to_string))
}

fn addresses(view: &View) -> String {
    let change = view.change.as_ref();
    listed(change.into_iter().flat_map(|one| one.addresses.as_slice()).map(ToString::to_string))
}

/// Joins the texts by commas; a dash if there are none, because the line has columns.
fn listed(texts: impl Iterator<Item = String>) -> String {
    let text = texts.collect::<Vec<_>>().join(",");
    if text.is_empty() { "-".to_owned() } else { text }
}

fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}

fn indented(raw: &RawValue) -> String {
    serde_json::from_str::<serde_json::Value>(raw.get())
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_else(|_| raw.get().to_owned())
}
