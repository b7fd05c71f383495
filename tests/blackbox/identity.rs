//! Key sets over HTTP: fetched at the start, and refreshed in the background.

use std::sync::{Arc, Mutex};

use tokio::{net::TcpListener, sync::oneshot};
use zec_gateway::issuer::{Signer, key_set, serve_key_set};

use crate::{
    real_parts::free_address,
    world::{Setup, World},
};

/// An identity provider whose key set can be changed while it runs.
struct Provider {
    url: String,
    document: Arc<Mutex<String>>,
    _stop: oneshot::Sender<()>,
}

async fn provider(document: String) -> Provider {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    let document = Arc::new(Mutex::new(document));
    let (stop, stopped) = oneshot::channel::<()>();
    let shown = Arc::clone(&document);
    tokio::spawn(serve_key_set(listener, move || shown.lock().unwrap().clone(), async {
        let _ = stopped.await;
    }));
    Provider { url, document, _stop: stop }
}

async fn world(url: &str) -> World {
    let keys = format!("jwks_url = \"{url}\"\nrefresh_interval = \"50ms\"\nmax_stale = \"1h\"");
    Setup { keys: Some(keys), ..Setup::default() }.start().await
}

#[tokio::test]
async fn keys_are_fetched_at_the_start_and_refreshed_behind_the_requests() {
    let first = Signer::es256().unwrap();
    let provider = provider(key_set(&[&first])).await;
    let mut world = world(&provider.url).await;
    assert_eq!(world.alice().get("/whoami").await.problem().1, "invalid-token");
    world.signer = first;
    assert_eq!(world.alice().get("/whoami").await.status, 200);
    assert!(world.metric(r#"jwks_keys{issuer="corp"}"#).await == 1.0);

    // The provider rotates: after the next refresh the new key is accepted and the old one is not.
    let second = Signer::rs256().unwrap();
    *provider.document.lock().unwrap() = key_set(&[&second]);
    let fetched = world.metric(r#"jwks_refreshes_total{issuer="corp",result="ok"}"#).await;
    let series = r#"jwks_refreshes_total{issuer="corp",result="ok"}"#;
    world.until_metric(series, fetched + 2.0).await;
    let old = world.alice().get("/whoami").await;
    assert!(old.text().contains("does not publish"), "{}", old.text());
    world.signer = second;
    assert_eq!(world.alice().get("/whoami").await.status, 200);
}

#[tokio::test]
async fn a_provider_that_talks_nonsense_leaves_the_keys_at_hand_in_use() {
    let signer = Signer::es256().unwrap();
    let provider = provider(key_set(&[&signer])).await;
    let mut world = world(&provider.url).await;
    let failed = r#"jwks_refreshes_total{issuer="corp",result="failed"}"#;
    // Valid keys, in a document that is too large.
    let huge =
        key_set(&[&signer]).replacen('{', &format!(r#"{{"x":"{}","#, "y".repeat(1 << 20)), 1);
    world.signer = signer;
    for nonsense in ["<html>", "{}", r#"{"keys":[]}"#, "", &huge] {
        *provider.document.lock().unwrap() = nonsense.to_owned();
        let before = world.metric(failed).await;
        world.until_metric(failed, before + 1.0).await;
        assert_eq!(world.alice().get("/whoami").await.status, 200, "{nonsense:.20}");
    }
}

#[tokio::test]
async fn without_keys_the_gateway_is_not_ready_and_says_503_not_401() {
    let nobody = free_address();
    let world = world(&format!("http://{nobody}/jwks.json")).await;
    let answer = world.alice().get("/whoami").await;
    assert_eq!(answer.problem().1, "identity-provider-unavailable");
    assert!(answer.header("retry-after").is_some());
    let ready = crate::client::request("GET", "/readyz?verbose", &[], None);
    let answer = crate::client::raw(world.admin, ready.as_bytes()).await.unwrap();
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("keys of corp: not ok"), "{}", answer.text());
    assert!(world.metric(r#"jwks_age_seconds{issuer="corp"}"#).await == f64::INFINITY);
    // A caller without a token still gets 401.
    assert_eq!(world.stranger().get("/whoami").await.status, 401);
}

#[tokio::test]
async fn keys_under_any_status_but_200_are_none() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let signer = Signer::es256().unwrap();
    let keys = key_set(&[&signer]);
    let good = provider(keys.clone()).await;
    let redirect = format!("302 Found\r\nlocation: {}", good.url);
    for status in [redirect.as_str(), "404 Not Found", "500 Oops", "201 Created"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let length = keys.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{keys}"
        );
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        let world = world(&url).await;
        let answer = world.alice().get("/whoami").await;
        assert_eq!(answer.problem().1, "identity-provider-unavailable", "{status}");
    }
}
