//! `policy`: runs a policy's cases, explains a decision, and prints the schema.

use std::path::PathBuf;

use serde_json::value::RawValue;

use super::{Stop, complain, say};
use crate::{
    app,
    domain::Nic,
    error::Fault,
    files,
    policy::{self, Engine, Question, cases},
};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Run a policy's own cases, `cases/*.toml` beside it
    Test {
        /// The directory with *.cedar and cases/
        directory: PathBuf,
        #[command(flatten)]
        catalogue: CatalogueArg,
    },
    /// Explain who may do what, and why; exits 1 unless the answer is allowed
    Explain(Explain),
    /// Print who may do what, as a table
    Matrix {
        /// The directory with *.cedar
        directory: PathBuf,
        /// An action as a column of its own; may be repeated
        ///
        /// Without one, the columns are the groups of actions.
        #[arg(long = "action", value_name = "ACTION", verbatim_doc_comment)]
        actions: Vec<String>,
        #[command(flatten)]
        catalogue: CatalogueArg,
    },
    /// Print the Cedar schema that policies are written against
    Schema {
        #[command(flatten)]
        catalogue: CatalogueArg,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct CatalogueArg {
    /// The file of `zec.catalogue_file`, if the gateway has one
    ///
    /// Without it, policies can name only the actions that the program knows.
    #[arg(long = "catalogue", value_name = "FILE", verbatim_doc_comment)]
    file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Explain {
    /// The directory with *.cedar
    directory: PathBuf,
    /// The caller, as `corp/alice`: the issuer's name in the configuration, and the token's subject
    #[arg(long, value_name = "ISSUER/SUBJECT")]
    caller: String,
    /// A group of the caller, as `netops`; may be repeated
    ///
    /// As the token names it, without the issuer. Without one, the caller is in no group.
    #[arg(long = "group", value_name = "GROUP", verbatim_doc_comment)]
    groups: Vec<String>,
    /// ZEC's action, as `UnassignNetworkInterfaceIpv4`
    #[arg(long, value_name = "ACTION")]
    action: String,
    /// The vNIC's id, for an action on a vNIC's addresses or a read of it
    ///
    /// Without it, --arguments must be there.
    #[arg(long, value_name = "ID", required_unless_present = "arguments", verbatim_doc_comment)]
    nic: Option<String>,
    /// A file with the arguments of a call of any other action, as a JSON object
    ///
    /// Without it, --nic must be there.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["nic", "addresses", "nic_file"], verbatim_doc_comment)]
    arguments: Option<PathBuf>,
    /// A private IPv4 address; may be repeated
    ///
    /// Changes need at least one address; reads take none. Without one, the action must be a read.
    #[arg(long = "address", value_name = "ADDRESS", verbatim_doc_comment)]
    addresses: Vec<String>,
    /// A file with the vNIC as `GET /nics/{nicId}` shows it, for policies that read it
    ///
    /// Without it, the answer can be that it depends on the vNIC.
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    nic_file: Option<PathBuf>,
    #[command(flatten)]
    catalogue: CatalogueArg,
}

pub(super) fn run(command: &Command) -> Result<(), Stop> {
    let (Command::Test { catalogue, .. }
    | Command::Explain(Explain { catalogue, .. })
    | Command::Matrix { catalogue, .. }
    | Command::Schema { catalogue }) = command;
    app::catalogue_file(catalogue.file.as_deref())?;
    match command {
        Command::Test { directory, .. } => test(directory),
        Command::Explain(args) => explain(args),
        Command::Matrix { directory, actions, .. } => {
            let (engine, _) = Engine::load(directory)?;
            say(engine.matrix(actions).map_err(|error| Stop::Usage(error.to_string()))?);
            Ok(())
        }
        Command::Schema { .. } => {
            let schema = policy::schema().map_err(|error| Fault::new(error.to_string()))?;
            say(schema.trim_end());
            Ok(())
        }
    }
}

fn test(directory: &std::path::Path) -> Result<(), Stop> {
    let (engine, warnings) = Engine::load(directory)?;
    for warning in warnings {
        complain(format_args!("warning: {warning}"));
    }
    let report = cases::run(&engine, directory)?;
    for name in &report.passed {
        say(format_args!("ok    {name}"));
    }
    for fault in &report.failed {
        say(format_args!("FAIL  {fault}"));
    }
    for id in &report.untested {
        complain(format_args!("warning: no case expects the policy `{id}` to decide"));
    }
    say(format_args!("{} passed, {} failed", report.passed.len(), report.failed.len()));
    if report.failed.is_empty() { Ok(()) } else { Err(Stop::Told) }
}

fn explain(args: &Explain) -> Result<(), Stop> {
    let (engine, _) = Engine::load(&args.directory)?;
    let question = Question {
        caller: args.caller.clone(),
        groups: args.groups.clone(),
        action: args.action.clone(),
        nic: args.nic.clone(),
        addresses: args.addresses.clone(),
        arguments: args.arguments.as_deref().map(read_arguments).transpose()?,
    };
    let (caller, operation) = question.parse().map_err(Stop::Usage)?;
    let nic = args.nic_file.as_deref().map(nic).transpose()?;
    if nic.as_ref().is_some_and(|nic| Some(&nic.id) != operation.nic()) {
        return Err(Stop::Usage(
            "the file holds another vNIC than the one that --nic names".to_owned(),
        ));
    }
    let explanation = engine.explain(&caller, operation, nic.as_ref());
    say(explanation.text.trim_end());
    if explanation.allowed { Ok(()) } else { Err(Stop::Told) }
}

fn read_arguments(path: &std::path::Path) -> Result<String, Fault> {
    files::read_text(path)
        .map_err(|error| Fault::new(format!("cannot be read: {error}")).in_file(path))
}

fn nic(path: &std::path::Path) -> Result<Nic, Fault> {
    let fault = |text: String| Fault::new(text).in_file(path);
    let text = files::read_text(path).map_err(|e| fault(format!("cannot be read: {e}")))?;
    let raw = RawValue::from_string(text).map_err(|e| fault(format!("not JSON: {e}")))?;
    Nic::parse(raw).map_err(|error| fault(error.to_string()))
}
