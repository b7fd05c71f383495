//! The common parts of the benchmarks.

#![allow(dead_code, reason = "no benchmark needs all of it")]

pub(crate) mod company;
pub(crate) mod process;
pub(crate) mod program;

use std::{
    path::{Path, PathBuf},
    pin::pin,
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request,
    header::{AUTHORIZATION, CONTENT_LENGTH, HOST},
};
use http_body_util::Full;
use secrecy::SecretString;
use tokio::runtime::{Builder, Runtime};
use zec_gateway::{
    app::App,
    auth::MasterFile,
    config::Config,
    domain::{Addresses, Caller, Change, ChangeIpv4, NicId},
    issuer::{Grant, Signer, key_set},
    policy::{Engine, Source},
    stack::Stack,
    zec::{AccessKey, CONTENT_TYPE, authorization},
};

/// The issuer.
pub(crate) const ISSUER: &str = "https://sso.example.com";

/// An access key for ZEC.
pub(crate) fn access_key() -> AccessKey {
    AccessKey::new("id".to_owned(), &SecretString::from("password")).unwrap()
}

/// The access key of the gateway's own, and the secret from which its password is derived.
const KEYS: &str = "[[key]]\nid = \"zgkbench\"\nname = \"ci\"\ngroups = [\"team-5\", \"staff\"]\nends = 2099-01-01T00:00:00Z\n";
const MASTER: &str = "0123456789abcdef0123456789abcdef";

/// The body of a call in ZEC's own form.
pub(crate) const CALL: &str = r#"{"nicId": "1612345678901234567", "ipAddresses": ["10.9.9.9"]}"#;

/// Whose key signs a request.
#[derive(Clone, Copy)]
pub(crate) enum SignedBy {
    Caller,
    WrongPassword,
    NobodysKey,
}

/// The headers of that call, signed with an access key.
pub(crate) fn signed(by: SignedBy) -> HeaderMap {
    let (id, master) = match by {
        SignedBy::Caller => ("zgkbench", MASTER),
        SignedBy::WrongPassword => ("zgkbench", "fedcba9876543210fedcba9876543210"),
        SignedBy::NobodysKey => ("zgknobod", MASTER),
    };
    let password = MasterFile::parse(Path::new("master"), master).unwrap().password(id);
    let key = AccessKey::new(id.to_owned(), &password).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().to_string();
    let signature = authorization(&key, &now, CONTENT_TYPE, "gateway", CALL.as_bytes());
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, signature.parse().unwrap());
    headers.insert("x-zc-timestamp", now.parse().unwrap());
    headers.insert("x-zc-signature-method", HeaderValue::from_static("ZC2-HMAC-SHA256"));
    headers.insert(HOST, HeaderValue::from_static("gateway"));
    headers
}

/// That call, with headers that say who calls.
pub(crate) fn zec_call(who: &HeaderMap) -> Request<Full<Bytes>> {
    let mut request = request(Method::POST, "/api/v2/zec", who.clone());
    *request.body_mut() = Full::new(Bytes::from_static(CALL.as_bytes()));
    let headers = request.headers_mut();
    headers.insert(CONTENT_LENGTH, CALL.len().into());
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    headers.insert("x-zc-action", HeaderValue::from_static("UnassignNetworkInterfaceIpv4"));
    request
}

/// An issuer with its configuration, and its tokens.
pub(crate) struct Identity {
    pub(crate) config: Config,
    pub(crate) signer: Signer,
    pub(crate) grant: Grant,
}

impl Identity {
    /// Writes its files to the directory.
    pub(crate) fn new(directory: &Path) -> Self {
        let signer = Signer::es256().unwrap();
        std::fs::write(directory.join("jwks.json"), key_set(&[&signer])).unwrap();
        let text = format!(
            "[[auth.issuers]]\nname = \"corp\"\nissuer = \"{ISSUER}\"\naudiences = [\"zec-gateway\"]\n\
             jwks_file = \"jwks.json\"\n[policy]\ndirectory = \"policy\"\n[zec]\npreflight = false\n\
             [limits]\nrequests_per_second = 0\n[journal]\nenabled = false\n\
             [auth.access_keys]\nfile = \"access-keys.toml\"\nmaster_file = \"master\"\n"
        );
        std::fs::write(directory.join("access-keys.toml"), KEYS).unwrap();
        std::fs::write(directory.join("master"), MASTER).unwrap();
        let file = directory.join("gateway.toml");
        let config = Config::parse(&file, &text, std::iter::empty()).unwrap();
        let grant = Grant {
            issuer: ISSUER.to_owned(),
            audience: "zec-gateway".to_owned(),
            subject: "alice".to_owned(),
            groups: vec!["team-5".to_owned(), "staff".to_owned()],
            lifetime: Duration::from_secs(12 * 3600),
        };
        Self { config, signer, grant }
    }

    /// A new token each time, because an ES256 signature is different each time.
    pub(crate) fn fresh(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let bearer = format!("Bearer {}", self.signer.token(&self.grant).unwrap());
        headers.insert(AUTHORIZATION, bearer.parse().unwrap());
        headers
    }
}

/// A token that somebody else has signed in the name of the issuer's key.
pub(crate) fn forged(identity: &Identity) -> HeaderMap {
    let mut headers = identity.fresh();
    let other = Signer::es256().unwrap().token(&identity.grant).unwrap();
    let good = headers[AUTHORIZATION].to_str().unwrap();
    let (message, _) = good.rsplit_once('.').unwrap();
    let (_, signature) = other.rsplit_once('.').unwrap();
    let forged = format!("{message}.{signature}").parse().unwrap();
    headers.insert(AUTHORIZATION, forged);
    headers
}

/// The output of a future that does not wait, because the keys are at hand.
pub(crate) fn at_once<T, E: std::fmt::Debug>(future: impl Future<Output = Result<T, E>>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result.unwrap(),
        Poll::Pending => panic!("it waits"),
    }
}

/// The policies of this many teams, one of which concerns the caller.
pub(crate) fn policy_text(count: usize) -> String {
    let policy = |team| {
        format!(
            "@id(\"team-{team}\") permit (principal in Zec::Group::\"corp/team-{team}\", \
             action == Zec::Action::\"UnassignNetworkInterfaceIpv4\", resource) \
             when {{ context.address.isInRange(ip(\"10.{}.{}.0/24\")) }};\n",
            team / 250,
            team % 250
        )
    };
    (0..count).map(policy).collect()
}

/// The same policies, loaded.
pub(crate) fn policies(count: usize) -> Engine {
    let (path, text) = (PathBuf::from("teams.cedar"), policy_text(count));
    Engine::from_sources(&[Source { path, text }]).unwrap().0
}

/// A caller of one of the teams.
pub(crate) fn caller() -> Caller {
    Caller::vouch("corp", "alice", ["team-5".to_owned(), "staff".to_owned()]).unwrap()
}

/// The same caller in a hundred more groups, which no policy names.
pub(crate) fn crowded() -> Caller {
    let crowd = (0..100).map(|n| format!("crowd-{n}")).chain(["team-5".to_owned()]);
    Caller::vouch("corp", "alice", crowd).unwrap()
}

/// The vNIC of the requests.
pub(crate) const NIC: &str = "1612345678901234567";

/// A vNIC as ZEC describes it, with a hundred addresses.
pub(crate) fn described(nic: &str) -> String {
    let mut secondary: Vec<String> = (2..=101).map(|n| format!("\"10.17.0.{n}\"")).collect();
    secondary.push("\"10.0.5.21\"".to_owned());
    format!(
        "{{\"requestId\":\"T1\",\"totalCount\":1,\"dataSet\":[{{\"nicId\":\"{nic}\",\"name\":\"web-1\",\
         \"status\":\"USED\",\"nicType\":\"Secondary\",\"regionId\":\"asia-east-1\",\"vpcId\":\"vpc-1\",\
         \"subnetId\":\"subnet-1\",\"resourceGroup\":{{\"resourceGroupId\":\"rg-1\",\
         \"resourceGroupName\":\"web\"}},\"primaryIpv4\":\"10.0.5.4\",\"secondaryIpv4s\":[{}],\
         \"instanceId\":\"vm-1\",\"publicIpList\":[],\"tags\":{{\"tags\":[]}}}}]}}",
        secondary.join(",")
    )
}

/// A change that the team may make.
pub(crate) fn change() -> ChangeIpv4 {
    ChangeIpv4 {
        change: Change::Unassign,
        nic: NicId::parse(NIC).unwrap(),
        addresses: Addresses::parse(["10.0.5.21"], 50).unwrap(),
    }
}

/// The runtime of a lane.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// The request target of that change.
pub(crate) const TARGET: &str = "/nics/1612345678901234567/ipv4?ipAddresses=10.0.5.21";

/// A request as hyper passes it on.
pub(crate) fn request(method: Method, target: &str, headers: HeaderMap) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.method_mut() = method;
    *request.uri_mut() = target.parse().unwrap();
    *request.headers_mut() = headers;
    request.headers_mut().insert(HOST, HeaderValue::from_static("gateway"));
    request
}

/// A gateway in this process, without a socket.
pub(crate) struct Here {
    pub(crate) identity: Identity,
    pub(crate) stack: Stack<Full<Bytes>>,
    _app: App,
    _files: tempfile::TempDir,
}

impl Here {
    /// With 25 policies. It needs a runtime that has been entered.
    pub(crate) fn new() -> Self {
        let files = tempfile::tempdir().unwrap();
        let identity = Identity::new(files.path());
        let app = App::assemble(&identity.config, policies(25), access_key()).unwrap();
        Self { identity, stack: app.stack(), _app: app, _files: files }
    }
}

/// Creates the same request each time.
pub(crate) type Again = Box<dyn Fn() -> Request<Full<Bytes>>>;

/// Requests that the gateway answers without ZEC, and their statuses.
pub(crate) fn answered_here(headers: &HeaderMap) -> [(&'static str, Again, u16); 3] {
    let again = |method: Method, target: &'static str, headers: HeaderMap| -> Again {
        Box::new(move || request(method.clone(), target, headers.clone()))
    };
    [
        (
            "the layers alone: explain a problem",
            again(Method::GET, "/problems/not-found", HeaderMap::new()),
            200,
        ),
        (
            "the layers and a token known again: who am I",
            again(Method::GET, "/whoami", headers.clone()),
            200,
        ),
        (
            "the layers, a token known again, decode, decide: a refusal",
            again(
                Method::DELETE,
                "/nics/1612345678901234567/ipv4?ipAddresses=10.9.9.9",
                headers.clone(),
            ),
            403,
        ),
    ]
}
