//! `dev`: runs gateway, emulator and token issuer on loopback, with a demo policy.

use std::{net::SocketAddr, path::Path, path::PathBuf, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::net::TcpListener;
use uuid::Uuid;

use super::{
    Signals, Stop, bind_tcp, block_on, lanes, raise_file_limit, reload_everything,
    runtime_files::RuntimeFiles, say, start_logging, token,
};
use crate::{
    app::{App, AppListeners},
    auth::fresh_master,
    config::Config,
    emulator::{self, Emulator},
    error::Fault,
    issuer::{self, Grant, Signer},
    lanes::Lanes,
    policy::{Engine, Source},
    telemetry::Format,
    zec::AccessKey,
};

/// The configuration, with placeholders for the addresses.
const CONFIG: &str = include_str!("../../config/dev/gateway.toml");

/// The policy of the repository's example, and one for callers with access keys.
const POLICY: [(&str, &str); 3] = [
    ("guards.cedar", include_str!("../../config/policy/guards.cedar")),
    ("netops.cedar", include_str!("../../config/policy/netops.cedar")),
    ("terraform.cedar", include_str!("../../config/dev/terraform.cedar")),
];

/// The lifetime of the printed token: a working day.
const TOKEN_LIFETIME: Duration = Duration::from_hours(12);

/// The vNICs of the emulator's demo. The token may unassign addresses of the first; the second belongs to others.
const LAB_NIC: &str = "1612345678901234567";
const PROD_NIC: &str = "1612345678901234568";
const NICS: [&str; 4] = [LAB_NIC, PROD_NIC, "1612345678901234569", "1612345678901234570"];

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where callers connect: a loopback address and a port; 0 for any port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where Prometheus connects: a loopback address and a port; 0 for any port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9464")]
    admin_listen: SocketAddr,
    /// Print one JSON line for programs instead of the lines for people
    #[arg(long)]
    json: bool,
    /// Do not limit how often callers send requests and how many addresses they take off
    #[arg(long)]
    no_caller_limits: bool,
}

pub(super) fn run(args: &Args, log_format: Option<Format>) -> Result<(), Stop> {
    for address in [args.listen, args.admin_listen] {
        if !address.ip().is_loopback() {
            return Err(Stop::Usage(format!(
                "{address} is not on loopback: `dev` hands out tokens and is for this machine only"
            )));
        }
    }
    block_on(dev(args, log_format, lanes()?))
}

async fn dev(args: &Args, log_format: Option<Format>, lanes: Lanes) -> Result<(), Stop> {
    let signals = Signals::hear()?;
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let public = bind_tcp(args.listen, "--listen").await?;
    let admin = bind_tcp(args.admin_listen, "--admin-listen").await?;
    let (for_emulator, for_issuer) =
        (bind_tcp(anywhere, "emulator").await?, bind_tcp(anywhere, "issuer").await?);
    let urls = Urls {
        gateway: url(&public)?,
        admin: url(&admin)?,
        emulator: url(&for_emulator)?,
        issuer: url(&for_issuer)?,
    };

    let (access_key_id, password) = emulate(for_emulator);
    let signer = Signer::es256().map_err(|error| Fault::new(error.to_string()))?;
    let key_set = issuer::key_set(&[&signer]);
    tokio::spawn(issuer::serve_key_set(
        for_issuer,
        move || key_set.clone(),
        std::future::pending(),
    ));

    let files = RuntimeFiles::open()?;
    let recorded = files.for_a_journal()?;
    let mut config = urls.config(args)?;
    config.journal.path = recorded.path().join("journal.db");
    files.make_access_keys(&fresh_master()?)?;
    config.auth.access_keys = Some(files.access_keys()?);
    // The access keys are all that `dev` reloads.
    let _level = start_logging(&config.log, log_format)?;
    raise_file_limit();
    let key = AccessKey::new(access_key_id.clone(), &password)?;
    let mut app = App::assemble(&config, policy()?, key)?;
    app.lanes = lanes;
    app.fetch_keys().await;

    let token = token_of_alice(&signer, &urls.issuer)?;
    files.put_key(signer.pem(), &urls.issuer)?;
    let port = public.local_addr().map_err(|error| Fault::new(error.to_string()))?.port();
    let header = files.put_header(port, &token)?;
    let journal = &config.journal.path;
    let greeting = Greeting { urls: &urls, access_key_id: &access_key_id, password: &password };
    if args.json {
        greeting.for_programs(&token);
    } else {
        greeting.for_people(&header, journal);
    }
    let reloader = app.reloader();
    let asked = signals.asked_to_stop(app.fast_drain(), move || _ = reload_everything(&reloader));
    let listeners = AppListeners { public: public.into(), admin: admin.into() };
    app.run(listeners, || {}, asked).await;
    Ok(())
}

/// Starts an emulated ZEC with the demo's vNICs and returns its access key.
fn emulate(listener: TcpListener) -> (String, SecretString) {
    let id = format!("dev-{}", Uuid::new_v4().simple());
    let password = SecretString::from(Uuid::new_v4().simple().to_string());
    let settings = emulator::Settings::new(id.clone(), password.clone());
    let emulator = Emulator::new(settings).with_demo_nics();
    tokio::spawn(emulator.serve(listener, std::future::pending()));
    (id, password)
}

struct Urls {
    gateway: String,
    admin: String,
    emulator: String,
    issuer: String,
}

impl Urls {
    fn config(&self, args: &Args) -> Result<Config, Vec<Fault>> {
        let text = CONFIG
            .replace("{listen}", &args.listen.to_string())
            .replace("{admin}", &args.admin_listen.to_string())
            .replace("{emulator}", &self.emulator)
            .replace("{issuer}", &self.issuer);
        // The environment is ignored, so that `dev` is the same everywhere.
        let mut config = Config::parse(Path::new("dev"), &text, std::iter::empty())?;
        if args.no_caller_limits {
            config.limits.requests_per_second = 0;
            config.limits.addresses_per_hour = 0;
            config.limits.destructive_per_hour = 0;
        }
        Ok(config)
    }
}

fn url(listener: &TcpListener) -> Result<String, Fault> {
    let address = listener.local_addr().map_err(|error| Fault::new(error.to_string()))?;
    Ok(format!("http://{address}"))
}

fn policy() -> Result<Engine, Vec<Fault>> {
    let source =
        |(name, text): (&str, &str)| Source { path: PathBuf::from(name), text: text.to_owned() };
    Engine::from_sources(&POLICY.map(source)).map(|(engine, _)| engine)
}

fn token_of_alice(signer: &Signer, issuer: &str) -> Result<String, Fault> {
    let grant = Grant {
        issuer: issuer.to_owned(),
        audience: token::DEV_AUDIENCE.to_owned(),
        subject: "alice".to_owned(),
        groups: vec!["engineers".to_owned(), "netops".to_owned()],
        lifetime: TOKEN_LIFETIME,
    };
    signer.token(&grant).map_err(|error| Fault::new(error.to_string()))
}

struct Greeting<'a> {
    urls: &'a Urls,
    access_key_id: &'a str,
    password: &'a SecretString,
}

impl Greeting<'_> {
    fn for_programs(&self, token: &str) {
        say(json!({
            "gateway": self.urls.gateway,
            "admin": self.urls.admin,
            "emulator": self.urls.emulator,
            "accessKeyId": self.access_key_id,
            "accessKeyPassword": self.password.expose_secret(),
            "token": token,
            "nics": NICS,
        }));
    }

    fn for_people(&self, header: &Path, journal: &Path) {
        let Urls { gateway, admin, emulator, .. } = self.urls;
        let (header, journal) = (header.display(), journal.display());
        say(format_args!(
            "A gateway, a ZEC emulator and a token issuer run on this machine, for trials:

  gateway    {gateway}
  metrics    {admin}/metrics
  emulator   {emulator}  (access key {id}, password {password})

Look at a vNIC, take an address off it, and put it back, as alice of netops:

  curl -H @{header} {gateway}/nics/{LAB_NIC}
  curl -X DELETE -H @{header} '{gateway}/nics/{LAB_NIC}/ipv4?ipAddresses=10.0.0.21'
  curl -X POST -H @{header} -H 'Content-Type: application/json' -d '{{\"ipAddresses\": [\"10.0.0.21\"]}}' {gateway}/nics/{LAB_NIC}/ipv4

Try what the policy does not allow (the policy is config/policy):

  curl -X DELETE -H @{header} '{gateway}/nics/{PROD_NIC}/ipv4?ipAddresses=10.1.0.21'

Call ZEC's API with its own clients (docs/clients.md has a script for the Python SDK), with this token:

  export TOKEN=$(cut -d ' ' -f 3 {header})

List the writes and their outcomes:

  zec-gateway journal list {journal}

Sign tokens for others: zec-gateway token --subject bob --group oncall
Make an access key, for Terraform: zec-gateway key new --name trial --group deployers --ends 1h
Ctrl-C stops everything.
",
            id = self.access_key_id,
            password = self.password.expose_secret(),
        ));
    }
}
