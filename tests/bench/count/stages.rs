//! Stages in this process; only the code inside [`measured`] is counted.

use std::{hint::black_box, sync::Arc, time::SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use tower::ServiceExt;
use zec_gateway::{
    app::App,
    auth::Authenticator,
    metrics::Metrics,
    policy::{Engine, Verdict},
    zec,
};

use crate::parts::{
    self, Identity, access_key, at_once, policies,
    program::{callgrind, collected},
};

/// The name of each stage, in the order of counting.
pub(crate) const NAMES: [&str; 9] = [SIGN, FRESH, AGAIN, FEW, MANY, CROWDED, LAYERS, WHO, REFUSED];

const SIGN: &str = "sign a request";
const FRESH: &str = "verify an ES256 token";
const AGAIN: &str = "know a token again";
const FEW: &str = "decide one address, 10 policies";
const MANY: &str = "decide one address, 1,000 policies";
const CROWDED: &str = "decide one address, 1,000 policies, 101 groups";
const LAYERS: &str = "the layers alone: explain a problem";
const WHO: &str = "the layers and a token known again: who am I";
const REFUSED: &str = "the layers, a token known again, decode, decide: a refusal";

/// The runs before the count, so that one-time work is not counted.
const BEFORE: usize = 20;
const RUNS: u64 = 100;

/// Counts one stage, in a separate process.
pub(crate) fn count(name: &str) -> u64 {
    let this = std::env::current_exe().unwrap();
    let mut command = callgrind(&["--toggle-collect=count::stages::measured*"], &this);
    let said = command.args(["stage", name]).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    collected(&String::from_utf8_lossy(&said.stderr)) / RUNS
}

#[inline(never)]
fn measured(stage: &mut dyn FnMut()) {
    stage();
}

/// The code that callgrind observes.
pub(crate) fn run(name: &str) {
    match name {
        SIGN => sign(),
        FRESH | AGAIN => verify(name == AGAIN),
        FEW => decide(&policies(10), false),
        MANY => decide(&policies(1000), false),
        CROWDED => decide(&policies(1000), true),
        _ => answered_here(name),
    }
}

/// Passes each input to the stage; the outputs are dropped outside of the count.
fn each<I, O>(inputs: impl Fn() -> I, mut stage: impl FnMut(I) -> O) {
    for _ in 0..BEFORE {
        black_box(stage(black_box(inputs())));
    }
    for _ in 0..RUNS {
        let (mut input, mut output) = (Some(black_box(inputs())), None);
        measured(&mut || output = input.take().map(&mut stage));
        drop(black_box(output));
    }
}

fn sign() {
    let key = access_key();
    let body = br#"{"nicId":"1612345678901234567","ipAddresses":["10.0.0.21"]}"#;
    let host = "console.zenlayer.com";
    each(|| "1767225600", |time| zec::authorization(&key, time, zec::CONTENT_TYPE, host, body));
}

fn verify(again: bool) {
    let directory = tempfile::tempdir().unwrap();
    let identity = Identity::new(directory.path());
    let metrics = Arc::new(Metrics::new(&[], &["corp".to_owned()]).unwrap());
    let authenticator = Authenticator::load(&identity.config.auth, metrics).unwrap();
    let same = identity.fresh();
    let headers = || if again { same.clone() } else { identity.fresh() };
    each(headers, |headers| at_once(authenticator.authenticate(&headers, SystemTime::now())));
}

fn decide(engine: &Engine, crowded: bool) {
    let caller = if crowded { parts::crowded() } else { parts::caller() };
    each(parts::change, |change| match engine.ask(&caller, change) {
        Verdict::Allowed(permit) => permit,
        verdict => panic!("{verdict:?}"),
    });
}

fn answered_here(name: &str) {
    let runtime = parts::runtime();
    let _timers = runtime.enter();
    let directory = tempfile::tempdir().unwrap();
    let identity = Identity::new(directory.path());
    let app = App::assemble(&identity.config, policies(25), access_key()).unwrap();
    let stack = app.stack::<Full<Bytes>>();
    let headers = identity.fresh();
    let all = parts::answered_here(&headers);
    let (_, request, status) = all.iter().find(|(one, ..)| *one == name).unwrap();
    each(request, |request| {
        let answer = at_once(stack.clone().oneshot(request));
        assert_eq!(answer.status(), *status);
        answer
    });
}
