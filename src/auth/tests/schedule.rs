//! How often the gateway asks providers, and what it keeps on disk of their answers.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::{
    net::TcpListener,
    sync::Notify,
    time::{Instant, advance, sleep, timeout},
};

use super::{
    refresh::{fetched, metrics},
    *,
};
use crate::auth::{cache::Cache, fetch::Fetcher, issuer::Issuer, refresh::Refresher};

/// Counts the requests to a provider, and notifies the test when there are far too many.
#[derive(Default)]
struct Asked {
    times: AtomicUsize,
    too_often: Notify,
}

impl Asked {
    /// Counts one more request and returns how many there were before.
    fn ask(&self) -> usize {
        let before = self.times.fetch_add(1, Ordering::Relaxed);
        if before == 20 {
            self.too_often.notify_one();
        }
        before
    }
}

/// A provider that hangs up on each request, or leaves it without an answer for ever.
async fn broken_provider(hangs_up: bool) -> (String, Arc<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap());
    let asked = Arc::new(Asked::default());
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            count.ask();
            if !hangs_up {
                held.push(stream);
            }
        }
    });
    (uri, asked)
}

/// The number of requests within this time to a provider that hangs up.
async fn asked_within(time: Duration, refresh: Duration) -> usize {
    let (uri, asked) = broken_provider(true).await;
    let mut settings = fetched(&uri);
    settings.issuers[0].refresh_interval = refresh;
    let auth = Authenticator::load(&settings, metrics()).unwrap();
    tokio::select! {
        () = auth.refresh_forever() => {}
        () = asked.too_often.notified() => {}
        () = sleep(time) => {}
    }
    asked.times.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_never_answers_is_given_up() {
    let (uri, _) = broken_provider(false).await;
    let auth = Authenticator::load(&fetched(&uri), metrics()).unwrap();
    let started = Instant::now();
    auth.refresh().await;
    assert!(started.elapsed() < Duration::from_secs(11), "{:?}", started.elapsed());
    assert!(!auth.is_ready() && !auth.issuers[0].demand.was_reached());
}

/// The number of requests at the start and within this time to a provider whose answer depends on the number of the
/// request.
async fn asked_of(
    time: Duration,
    answer: impl Fn(usize) -> String + Send + Sync + 'static,
) -> usize {
    let asked = Arc::new(Asked::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    let count = Arc::clone(&asked);
    let answer = move || answer(count.ask());
    tokio::spawn(crate::issuer::serve_key_set(listener, answer, std::future::pending()));
    let auth = Authenticator::load(&fetched(&uri), metrics()).unwrap();
    auth.refresh().await;
    tokio::select! {
        () = auth.refresh_forever() => {}
        () = asked.too_often.notified() => {}
        () = sleep(time) => {}
    }
    asked.times.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_answers_is_asked_once_an_interval() {
    let keys = key_set(&[&Signer::es256().unwrap()]);
    let asked = asked_of(Duration::from_mins(35), move |_| keys.clone()).await;
    assert_eq!(asked, 4, "at the start, and after ten, twenty and thirty minutes");
}

#[tokio::test(start_paused = true)]
async fn a_success_between_failures_makes_the_next_retry_come_soon() {
    let keys = key_set(&[&Signer::es256().unwrap()]);
    let answer = move |number| if number == 5 { keys.clone() } else { String::new() };
    // The good answer comes after half a minute, the next request ten minutes later.
    let asked = asked_of(Duration::from_secs(650), answer).await;
    assert!(asked > 8, "asked {asked} times");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_fails_is_asked_again_ever_more_seldom() {
    let asked = asked_within(Duration::from_mins(5), Duration::from_mins(10)).await;
    assert!((4..=12).contains(&asked), "asked {asked} times within five minutes");
    // At least once a minute, so that the gateway soon notices that the provider is back.
    let asked = asked_within(Duration::from_mins(30), Duration::from_hours(1)).await;
    assert!(asked > 20, "asked {asked} times within half an hour");
}

#[tokio::test(start_paused = true)]
async fn a_failure_delays_no_fetch_past_its_refresh() {
    let asked = asked_within(Duration::from_secs(15), Duration::from_secs(1)).await;
    // The waits between failures alone would allow only four requests.
    assert!(asked > 6, "asked {asked} times in fifteen seconds");
}

#[tokio::test]
async fn what_is_kept_on_disk_serves_until_it_is_too_old() {
    let directory = tempfile::tempdir().unwrap();
    let signer = Signer::es256().unwrap();
    let mut settings = fetched("http://127.0.0.1:1/");
    settings.keys_cache_directory = Some(directory.path().join("keys"));
    assert!(!Authenticator::load(&settings, metrics()).unwrap().is_ready());

    let document = key_set(&[&signer]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    settings.issuers[0].keys = KeySource::Url(
        format!("http://{}/jwks.json", listener.local_addr().unwrap()).parse().unwrap(),
    );
    let provider = tokio::spawn(crate::issuer::serve_key_set(
        listener,
        move || document.clone(),
        std::future::pending(),
    ));
    let refresher = Refresher::new(&settings, metrics()).unwrap();
    let issuer = Arc::new(Issuer::new(settings.issuers[0].clone()));
    refresher.once(std::slice::from_ref(&issuer)).await;
    assert!(issuer.has_keys());
    let kept = directory.path().join("keys/corp.json");
    let written = async {
        while !kept.exists() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(30), written).await.expect("keys on disk");
    provider.abort();

    // The next start finds the key sets and logs how old they are.
    let seen = metrics();
    let again = Authenticator::load(&settings, Arc::clone(&seen)).unwrap();
    assert!(again.is_ready());
    let text = seen.render().unwrap();
    assert!(text.contains(r#"zec_gateway_jwks_keys{issuer="corp"} 1"#), "{text}");
    assert!(!text.contains(r#"zec_gateway_jwks_age_seconds{issuer="corp"} +Inf"#), "{text}");
    // The gateway still fetches fresh ones at once.
    assert!(!again.issuers[0].demand.was_reached());
    assert!(again.warnings().is_empty());
    settings.issuers[0].max_stale = Duration::from_nanos(1);
    let stale = Authenticator::load(&settings, metrics()).unwrap();
    assert!(!stale.is_ready());
    let said = stale.warnings()[0].to_string();
    assert!(said.contains("keys_cache_directory: ") && said.contains("older"), "{said}");
}

#[test]
fn a_disk_that_hangs_does_not_stop_the_refreshes() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let (release, hold) = std::sync::mpsc::channel::<()>();
    runtime.block_on(async {
        // The one thread that may write is blocked, as on a network disk that is gone.
        drop(tokio::task::spawn_blocking(move || hold.recv()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let keys = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let mut settings = fetched(&keys);
        let directory = tempfile::tempdir().unwrap();
        settings.keys_cache_directory = Some(directory.path().join("keys"));
        settings.issuers[0].refresh_interval = Duration::from_millis(20);
        let (asked, signer) = (Arc::new(AtomicUsize::new(0)), Signer::es256().unwrap());
        let (count, document) = (Arc::clone(&asked), key_set(&[&signer]));
        let document = move || {
            count.fetch_add(1, Ordering::Relaxed);
            document.clone()
        };
        tokio::spawn(crate::issuer::serve_key_set(listener, document, std::future::pending()));
        let auth = Authenticator::load(&settings, metrics()).unwrap();
        let thrice = async {
            while asked.load(Ordering::Relaxed) < 3 {
                sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            () = auth.refresh_forever() => {}
            result = timeout(Duration::from_secs(10), thrice) => {
                let asked = asked.load(Ordering::Relaxed);
                assert!(result.is_ok(), "asked {asked} times, and never again");
            }
        }
    });
    drop(release);
}

#[tokio::test(start_paused = true)]
async fn keys_that_were_kept_on_disk_go_on_ageing() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = fetched("http://127.0.0.1:1/");
    settings.keys_cache_directory = Some(directory.path().to_owned());
    settings.issuers[0].max_stale = Duration::from_hours(2);
    let keys = key_set(&[&Signer::es256().unwrap()]);
    Cache::new(directory.path().to_owned()).write(&settings.issuers[0], keys.as_bytes()).unwrap();
    let file = directory.path().join("corp.json");
    let mut kept: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    kept["fetchedAt"] = json!(kept["fetchedAt"].as_u64().unwrap() - 3600);
    std::fs::write(&file, kept.to_string()).unwrap();
    let auth = Authenticator::load(&settings, metrics()).unwrap();
    assert!(auth.is_ready());
    advance(Duration::from_hours(1)).await;
    assert!(!auth.is_ready(), "an hour on the disk does not count");
}

#[tokio::test]
async fn files_that_a_disk_does_not_give_are_read_once_at_a_time() {
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "secret").unwrap();
    let (uri, asked) = broken_provider(true).await;
    let mut settings = fetched(&uri);
    settings.issuers[0].token_file = Some(token.path().to_owned());
    let (fetcher, issuer) =
        (Fetcher::new(&settings).unwrap(), Issuer::new(settings.issuers[0].clone()));
    let read = Arc::clone(&issuer.reading).try_acquire_owned().unwrap();
    let error = fetcher.key_set(&issuer).await.unwrap_err();
    assert!(error.contains("still being read"), "{error}");
    drop(read);
    fetcher.key_set(&issuer).await.unwrap_err();
    assert_eq!(asked.times.load(Ordering::Relaxed), 1);
}
