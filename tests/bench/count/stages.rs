//! Stages in this process; only the code inside [`measured`] is counted.

use std::{
    collections::BTreeMap, convert::Infallible, hint::black_box, path::Path, sync::Arc,
    time::SystemTime,
};

use tower::ServiceExt;
use zec_gateway::{
    auth::{Authenticator, Identified, IssuedKeys, SignedHead},
    metrics::Metrics,
    policy::{Engine, Verdict},
    zec,
};

use crate::parts::{
    self, CALL, Here, Identity, SignedBy, access_key, at_once, policies,
    program::{callgrind, collected},
};

/// The name of each stage, in the order of counting.
pub(crate) const NAMES: [&str; 15] = [
    SIGN, FRESH, AGAIN, FORGED, SIGNATURE, WRONG, NOBODYS, FEW, MANY, CROWDED, LAYERS, WHO,
    REFUSED, BY_TOKEN, BY_KEY,
];

const SIGN: &str = "sign a request";
const FRESH: &str = "verify an ES256 token";
const AGAIN: &str = "know a token again";
const FORGED: &str = "refuse a forged ES256 token";
const SIGNATURE: &str = "check a signature with an access key";
const WRONG: &str = "refuse a signature with the wrong password";
const NOBODYS: &str = "refuse a signature with a key that does not exist";
const FEW: &str = "decide one address, 10 policies";
const MANY: &str = "decide one address, 1,000 policies";
const CROWDED: &str = "decide one address, 1,000 policies, 101 groups";
const LAYERS: &str = "the layers alone: explain a problem";
const WHO: &str = "the layers and a token known again: who am I";
const REFUSED: &str = "the layers, a token known again, decode, decide: a refusal";

const BY_TOKEN: &str = "the layers, a token known again: a call in ZEC's form is refused";
const BY_KEY: &str = "the layers, a signature with an access key: the same call";

/// What must hold between the counts: what is compared, and whether it holds.
pub(crate) fn relations(counts: &BTreeMap<&str, u64>) -> [(&'static str, bool); 3] {
    let near = |one: u64, other: u64| one.abs_diff(other) * 100 <= one.max(other);
    [
        (
            "a wrong password and a key that does not exist cost the same, within one percent",
            near(counts[WRONG], counts[NOBODYS]),
        ),
        (
            "a forged signature costs less than a forged token",
            counts[WRONG] < counts[FORGED] && counts[NOBODYS] < counts[FORGED],
        ),
        (
            "a call with a key costs no more than one with a token known again and the hashes of a signature",
            counts[BY_KEY] <= counts[BY_TOKEN] + counts[SIGN],
        ),
    ]
}

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
        FRESH | AGAIN | FORGED => verify(name),
        SIGNATURE => check(SignedBy::Caller),
        WRONG => check(SignedBy::WrongPassword),
        NOBODYS => check(SignedBy::NobodysKey),
        BY_TOKEN | BY_KEY => called(name == BY_KEY),
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

fn verify(name: &str) {
    let directory = tempfile::tempdir().unwrap();
    let identity = Identity::new(directory.path());
    let metrics = Arc::new(Metrics::new(&[], &["corp".to_owned()]).unwrap());
    let authenticator = Authenticator::load(&identity.config.auth, metrics).unwrap();
    let same = identity.fresh();
    let headers = || match name {
        AGAIN => same.clone(),
        FORGED => parts::forged(&identity),
        _ => identity.fresh(),
    };
    let accepted = name != FORGED;
    each(headers, |headers| {
        let verified = authenticator.authenticate(&headers, SystemTime::now());
        let verified = at_once(async { Ok::<_, Infallible>(verified.await) });
        assert_eq!(verified.is_ok(), accepted);
        verified
    });
}

fn check(by: SignedBy) {
    let directory = tempfile::tempdir().unwrap();
    let identity = Identity::new(directory.path());
    let metrics = Arc::new(Metrics::new(&[], &["corp".to_owned()]).unwrap());
    let settings = identity.config.auth.access_keys.as_ref().unwrap();
    let read = |path: &Path| std::fs::read(path);
    let keys = IssuedKeys::load(settings, Arc::clone(&metrics), &read).unwrap();
    let authenticator = Authenticator::load(&identity.config.auth, metrics).unwrap();
    let authenticator = authenticator.with_access_keys(Arc::new(keys));
    let request = parts::zec_call(&parts::signed(by));
    each(
        || request.headers().clone(),
        |headers| {
            let head = SignedHead { headers: &headers, authority: None };
            let now = SystemTime::now();
            let begun = at_once(authenticator.authenticate_or_begin(head, now));
            let Identified::ByBody(signed) = begun else { panic!("a token") };
            let checked = authenticator.check_signature(&signed, CALL.as_bytes(), None, now);
            assert_eq!(checked.is_ok(), matches!(by, SignedBy::Caller));
            (headers, signed, checked)
        },
    );
}

/// A call that the policy refuses, so that nothing but the way to the decision is counted.
fn called(by_key: bool) {
    let runtime = parts::runtime();
    let _timers = runtime.enter();
    let Here { identity, stack, .. } = &Here::new();
    let who = if by_key { parts::signed(SignedBy::Caller) } else { identity.fresh() };
    each(
        || parts::zec_call(&who),
        |request| {
            let answer = at_once(stack.clone().oneshot(request));
            assert_eq!(answer.status(), 403);
            answer
        },
    );
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
    let Here { identity, stack, .. } = &Here::new();
    let headers = identity.fresh();
    let all = parts::answered_here(&headers);
    let (_, request, status) = all.iter().find(|(one, ..)| *one == name).unwrap();
    each(request, |request| {
        let answer = at_once(stack.clone().oneshot(request));
        assert_eq!(answer.status(), *status);
        answer
    });
}
