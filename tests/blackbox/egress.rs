//! Outgoing connections: a real proxy for ZEC and for key sets, proxies that fail, and issuers that require their own
//! certificate authority and token.

use std::{
    convert::Infallible,
    fs,
    net::SocketAddr,
    process::{Child, Stdio},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use zec_gateway::issuer::{Grant, Signer, key_set};

use crate::{
    client::PATIENCE,
    idp::Provider,
    real_parts::{free_address, left_out, unpacked},
    secure::Authority,
    world::{NIC, Setup, World},
};

const DELETE: &str = "?ipAddresses=10.0.0.21";

/// Debian's tinyproxy; it runs until dropped.
struct Proxy {
    child: Child,
    address: SocketAddr,
    files: TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Proxy {
    /// A proxy that requires `gateway:secret` and tunnels only to these ports.
    async fn start(ports: &[u16]) -> Self {
        let files = tempfile::tempdir().unwrap();
        let address = free_address();
        let connect: Vec<_> = ports.iter().map(|port| format!("ConnectPort {port}")).collect();
        let connect = connect.join("\n");
        let log = files.path().join("log");
        let text = format!(
            "Port {}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 60\nMaxClients 50\n\
             LogFile \"{}\"\nLogLevel Info\nBasicAuth gateway secret\n{connect}\n",
            address.port(),
            log.display()
        );
        let config = files.path().join("tinyproxy.conf");
        fs::write(&config, text).unwrap();
        let child = unpacked("usr/bin/tinyproxy")
            .arg("-d")
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let there = async {
            while TcpStream::connect(address).await.is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, there).await.expect("a proxy that listens");
        Self { child, address, files }
    }

    /// The configuration lines for using the proxy.
    fn lines(&self, password: &str) -> String {
        let file = self.files.path().join(format!("credentials-{password}"));
        fs::write(&file, format!("gateway:{password}\n")).unwrap();
        format!(
            "proxy = \"http://{}\"\nproxy_credentials_file = \"{}\"\n",
            self.address,
            file.display()
        )
    }

    /// Whether the proxy received a request for a tunnel to that address.
    fn was_asked_for(&self, to: SocketAddr) -> bool {
        let log = fs::read_to_string(self.files.path().join("log")).unwrap();
        log.contains(&format!("CONNECT {to} HTTP/1.1"))
    }
}

async fn outcome(world: &World) -> Value {
    let list = world.alice().get("/operations").await.json();
    list["operations"][0]["outcome"].clone()
}

#[tokio::test]
async fn zec_is_reached_through_a_real_proxy_and_tls_ends_at_zec() {
    if left_out("proxies") {
        return;
    }
    let zec = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let behind = zec.local_addr().unwrap();
    let seen = emulator(zec);
    let authority = Authority::new();
    let front = authority.front(behind).await;
    let proxy = Proxy::start(&[front.port()]).await;
    let setup = |password: &str| Setup {
        endpoint: Some(format!("https://{front}")),
        zec: format!("ca_file = \"ca.pem\"\n{}", proxy.lines(password)),
        files: vec![("ca.pem", authority.pem())],
        ..Setup::default()
    };
    let world = setup("secret").start().await;
    let answer = world.alice().delete(&format!("/nics/{NIC}/ipv4{DELETE}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(proxy.was_asked_for(front));
    let requests = seen.requests();
    assert!(requests.iter().all(|request| request.authenticated), "{requests:?}");

    // If a proxy refuses the tunnel, the write was never sent.
    let world = setup("wrong").start().await;
    let before = seen.requests().len();
    let answer = world.alice().get(&format!("/nics/{NIC}")).await;
    assert_eq!(answer.problem().1, "zec-unavailable");
    assert_eq!(seen.requests().len(), before);
}

fn emulator(listener: TcpListener) -> zec_gateway::emulator::Emulator {
    use secrecy::SecretString;
    use zec_gateway::emulator::{Emulator, Settings};

    let password = SecretString::from(crate::world::PASSWORD);
    let zec = Emulator::new(Settings::new(crate::world::KEY_ID, password)).with_demo_nics();
    tokio::spawn(zec.clone().serve(listener, std::future::pending()));
    zec
}

#[tokio::test]
async fn keys_are_fetched_through_a_real_proxy() {
    if left_out("proxies") || left_out("oidc") {
        return;
    }
    let provider = Provider::start().await;
    let address: SocketAddr = provider.issuer.strip_prefix("http://").unwrap().parse().unwrap();
    let proxy = Proxy::start(&[address.port()]).await;
    let auth = proxy.lines("secret");
    let world = Setup { auth, ..provider.setup("1h") }.start().await;
    let answer = world.bearer(&provider.token("ES256").await).get("/whoami").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(proxy.was_asked_for(address));
}

/// The way in which a proxy fails.
#[derive(Clone, Copy, Debug)]
enum Fails {
    /// Nothing listens at its address.
    Gone,
    /// It hangs up on the request.
    HangsUp,
    /// It refuses the tunnel.
    Refuses,
    /// It sends nothing.
    Silent,
    /// It accepts the tunnel and hangs up, before TLS.
    Cuts,
    /// Its head never ends.
    Endless,
}

async fn failing(how: Fails) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    if matches!(how, Fails::Gone) {
        return address;
    }
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).await;
            let said = match how {
                Fails::Refuses => "HTTP/1.1 403 Filtered\r\nContent-Length: 2\r\n\r\nno",
                Fails::Cuts => "HTTP/1.1 200 Connection established\r\n\r\n",
                _ => "",
            };
            let _ = stream.write_all(said.as_bytes()).await;
            match how {
                Fails::Silent => held.push(stream),
                Fails::Endless => {
                    let _ = stream.write_all(b"HTTP/1.1 200 Ok\r\n").await;
                    while stream.write_all(b"X-More: and more\r\n").await.is_ok() {}
                }
                _ => {}
            }
        }
    });
    address
}

#[tokio::test]
async fn a_proxy_that_fails_means_that_nothing_was_sent() {
    for how in
        [Fails::Gone, Fails::HangsUp, Fails::Refuses, Fails::Silent, Fails::Cuts, Fails::Endless]
    {
        let proxy = failing(how).await;
        let mut setup = Setup::without_preflight("the vNIC could not be read either");
        setup.endpoint = Some("https://127.0.0.1:9".to_owned());
        setup.zec =
            format!("{}\nconnect_timeout = \"300ms\"\nproxy = \"http://{proxy}\"", setup.zec);
        let world = setup.start().await;
        let answer = world.alice().delete(&format!("/nics/{NIC}/ipv4{DELETE}")).await;
        assert_eq!(answer.problem().1, "zec-unavailable", "{how:?}: {}", answer.text());
        assert_eq!(outcome(&world).await, "not-sent", "{how:?}");
    }
}

/// A cluster's API server, as far as tokens are concerned: it returns its keys to requests with the right token.
#[derive(Clone)]
struct Cluster(Arc<Mutex<State>>);

struct State {
    wanted: String,
    issuer: String,
    keys_at: String,
    signer: Signer,
    /// The tokens in requests for the keys; `None` for a request without one.
    shown: Vec<Option<String>>,
}

impl Cluster {
    fn new(wanted: &str) -> Self {
        Self(Arc::new(Mutex::new(State {
            wanted: format!("Bearer {wanted}"),
            issuer: String::new(),
            keys_at: String::new(),
            signer: Signer::rs256().unwrap(),
            shown: Vec::new(),
        })))
    }

    async fn listen(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let this = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let this = this.clone();
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer = this.answer(&request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        address
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let mut state = self.0.lock().unwrap();
        let shown = request.headers().get(AUTHORIZATION);
        let shown = shown.map(|token| token.to_str().unwrap().to_owned());
        let is_right = shown.as_ref() == Some(&state.wanted);
        let keys = request.uri().path() == "/openid/v1/jwks";
        if keys {
            state.shown.push(shown);
        }
        let (status, body) = match (is_right || keys && state.wanted.is_empty(), keys) {
            (false, _) => (StatusCode::UNAUTHORIZED, json!({"kind": "Status"}).to_string()),
            (true, true) => (StatusCode::OK, key_set(&[&state.signer])),
            (true, false) => {
                let document = json!({"issuer": state.issuer, "jwks_uri": state.keys_at});
                (StatusCode::OK, document.to_string())
            }
        };
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        response
    }

    /// A pod's service account token.
    fn token(&self) -> String {
        let state = self.0.lock().unwrap();
        let grant = Grant {
            issuer: state.issuer.clone(),
            audience: "zec-gateway".to_owned(),
            subject: "system:serviceaccount:ops:cleaner".to_owned(),
            groups: Vec::new(),
            lifetime: PATIENCE,
        };
        state.signer.token(&grant).unwrap()
    }
}

fn policy() -> String {
    "@id(\"read\") permit (principal, action in Zec::Action::\"read\", resource);".to_owned()
}

fn issuer(issuer: &str, more: &str) -> String {
    format!(
        "[[auth.issuers]]\nname = \"kubernetes\"\nissuer = \"{issuer}\"\n\
         audiences = [\"zec-gateway\"]\ndiscovery = true\nrefresh_interval = \"100ms\"\n{more}\n"
    )
}

#[tokio::test]
async fn a_cluster_is_an_issuer_with_its_own_authority_and_token_read_each_time() {
    let (cluster, authority) = (Cluster::new("first"), Authority::new());
    let behind = cluster.listen().await;
    // The keys are at a different address than the issuer, as in a cluster.
    let (front, keys) = (authority.front(behind).await, authority.front(behind).await);
    {
        let mut state = cluster.0.lock().unwrap();
        state.issuer = format!("https://{front}");
        state.keys_at = format!("https://{keys}/openid/v1/jwks");
    }
    let address = format!("https://{front}");
    let own = "ca_file = \"ca.crt\"\ntoken_file = \"token\"";
    let files = vec![("ca.crt", authority.pem()), ("token", "first\n".to_owned())];
    // The common proxy, at whose address nothing listens, is not used.
    let (auth, own) =
        ("proxy = \"http://127.0.0.1:1\"".to_owned(), format!("{own}\nuse_proxy = false"));
    let issuers = Some(issuer(&address, &own));
    let world = Setup { auth, issuers, files, policy: policy(), ..Setup::default() }.start().await;
    let answer = world.bearer(&cluster.token()).get("/whoami").await;
    assert_eq!(answer.json()["subject"], "system:serviceaccount:ops:cleaner", "{}", answer.text());

    // The kubelet renews the token, and the next fetch sends the new one.
    world.put("token", "second\n");
    cluster.0.lock().unwrap().wanted = "Bearer second".to_owned();
    let series = r#"jwks_refreshes_total{issuer="kubernetes",result="ok"}"#;
    let before = world.metric(series).await;
    world.until_metric(series, before + 1.0).await;

    // No other authority has signed its certificate, and without the token it returns no keys.
    for more in ["token_file = \"token\"", "ca_file = \"ca.crt\""] {
        let files = vec![("ca.crt", authority.pem()), ("token", "second\n".to_owned())];
        let world = Setup {
            issuers: Some(issuer(&address, more)),
            files,
            policy: policy(),
            ..Setup::default()
        };
        let world = world.start().await;
        let answer = world.bearer(&cluster.token()).get("/whoami").await;
        assert_eq!(answer.problem().1, "identity-provider-unavailable", "{more}");
    }
}

#[tokio::test]
async fn an_issuers_token_goes_to_no_other_host_that_a_document_names() {
    let cluster = Cluster::new("secret");
    let (issuer_at, elsewhere) = (cluster.listen().await, cluster.listen().await);
    let address = format!("http://{issuer_at}");
    {
        let mut state = cluster.0.lock().unwrap();
        state.issuer.clone_from(&address);
        state.keys_at = format!("http://{elsewhere}/openid/v1/jwks");
    }
    let files = vec![("token", "secret\n".to_owned())];
    let issuers = Some(issuer(&address, "token_file = \"token\""));
    let world = Setup { issuers, files, policy: policy(), ..Setup::default() }.start().await;
    world.until_metric(r#"jwks_refreshes_total{issuer="kubernetes",result="failed"}"#, 1.0).await;
    let shown = cluster.0.lock().unwrap().shown.clone();
    assert!(!shown.is_empty() && shown.iter().all(Option::is_none), "{shown:?}");
    // The token goes to the issuer's own host.
    cluster.0.lock().unwrap().keys_at = format!("{address}/openid/v1/jwks");
    world.until_metric(r#"jwks_refreshes_total{issuer="kubernetes",result="ok"}"#, 1.0).await;
}
