//! `emulator`: runs the ZEC emulator alone.

use std::{net::SocketAddr, path::PathBuf};

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::{Signals, Stop, bind_tcp, block_on, say};
use crate::{
    emulator::{Emulator, Fault as EmulatedFault, Settings},
    error::Fault,
    files,
};

/// The variable with the password, if no flag gives one.
const PASSWORD_VARIABLE: &str = "ZEC_ACCESS_KEY_PASSWORD";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to listen: an IP address and a port; 0 for any port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:18080")]
    listen: SocketAddr,
    /// The id of the access key that is accepted
    #[arg(long, value_name = "ID", default_value = "emulated-key")]
    access_key_id: String,
    /// The access key's password
    ///
    /// Everybody on this machine can read a command line, so prefer a file. Without both options, the
    /// password is that of the variable `ZEC_ACCESS_KEY_PASSWORD`.
    #[arg(long, value_name = "TEXT", verbatim_doc_comment)]
    access_key_password: Option<String>,
    /// A file with the access key's password
    ///
    /// A newline at the end is ignored. Without it, see --access-key-password.
    #[arg(long, value_name = "FILE", verbatim_doc_comment, conflicts_with = "access_key_password")]
    access_key_password_file: Option<PathBuf>,
    /// An access token that is accepted too, as `Bearer`; may be repeated
    ///
    /// Without one, only signatures are accepted.
    #[arg(long = "bearer-token", value_name = "TOKEN", verbatim_doc_comment)]
    bearer_tokens: Vec<String>,
    /// A fault to simulate, as `delay:500ms`; may be repeated
    ///
    /// See Faults below for the list. Without one, nothing goes wrong.
    #[arg(long = "fault", value_name = "FAULT", verbatim_doc_comment)]
    faults: Vec<EmulatedFault>,
    /// Serve `/control/...` too, to anybody: it sets faults and shows requests
    #[arg(long)]
    control: bool,
    /// Let an elastic IP block taking off only its own address, not every address of the vNIC
    #[arg(long)]
    eip_check_per_address: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Stop> {
    let mut settings = Settings::new(args.access_key_id.clone(), password(args)?);
    settings.bearer_tokens =
        args.bearer_tokens.iter().map(|token| SecretString::from(token.as_str())).collect();
    settings.faults.clone_from(&args.faults);
    settings.control = args.control;
    settings.eip_check_per_address = args.eip_check_per_address;
    let emulator = Emulator::new(settings).with_demo_nics();
    block_on(async {
        let signals = Signals::hear()?;
        let listener = bind_tcp(args.listen, "--listen").await?;
        let address = listener.local_addr().map_err(|error| Fault::new(error.to_string()))?;
        say(format_args!("emulating ZEC on http://{address}/api/v2/zec"));
        let asked = signals.asked_to_stop(CancellationToken::new(), || ());
        emulator.serve(listener, asked).await;
        Ok(())
    })
}

fn password(args: &Args) -> Result<SecretString, Stop> {
    let text = match (&args.access_key_password, &args.access_key_password_file) {
        (Some(text), _) => text.clone(),
        (None, Some(path)) => files::read_text(path)
            .map_err(|error| Fault::new(format!("cannot be read: {error}")).in_file(path))?,
        (None, None) => std::env::var(PASSWORD_VARIABLE).map_err(|_| {
            Stop::Usage(format!("give --access-key-password, or set {PASSWORD_VARIABLE}"))
        })?,
    };
    Ok(SecretString::from(text.trim_end_matches(['\r', '\n'])))
}
