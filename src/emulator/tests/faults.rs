//! Tests of faults over a real connection to the emulator.

use super::*;

#[test]
fn faults_in_front_of_zec_change_nothing() {
    let zec = Running::start();
    let once = |kind| {
        zec.emulator.inject(Fault::once(kind));
        let got = zec.unassign();
        assert!(!zec.is_done());
        got
    };
    let code = |kind| once(kind).unwrap().code();
    assert_eq!(code(FaultKind::Unavailable), refused(503, "SERVICE_TEMPORARY_UNAVAILABLE"));
    assert_eq!(code(FaultKind::Status500), refused(500, "INTERNAL_SERVER_ERROR"));
    assert_eq!(code(FaultKind::Throttle), refused(429, "REQUEST_LIMIT_EXCEEDED"));
    assert_eq!(code(FaultKind::RefuseCredentials), refused(401, "AUTHFAILURE_SIGNATURE_FAILURE"));
    assert_eq!(code(FaultKind::UnknownStatus(418, "TEA".into())), refused(418, "TEA"));
    let html = once(FaultKind::Html).unwrap();
    assert!(html.status == 502 && html.head.contains("text/html") && html.body.starts_with(b"<"));
    let challenge = once(FaultKind::Challenge).unwrap();
    assert!(challenge.status == 403 && challenge.head.contains("\r\ncf-mitigated: challenge"));
    let redirect = once(FaultKind::Redirect).unwrap();
    assert!(redirect.status == 302 && redirect.head.contains("\r\nlocation: "));
    let begun = Instant::now();
    assert!(once(FaultKind::Cut).is_none());
    assert!(begun.elapsed() < zec.patience.get(), "cut, not hung");
    zec.patience.set(SHORT);
    let begun = Instant::now();
    assert!(once(FaultKind::Hang).is_none());
    assert!(begun.elapsed() >= SHORT, "hung until the caller gave up");
    zec.patience.set(Duration::from_secs(20));
    assert_eq!(zec.unassign().unwrap().status, 200);
}

#[test]
fn faults_of_the_answer_come_after_the_change() {
    for (kind, check) in [
        (FaultKind::CutAfter, (|got| got.is_none()) as fn(Option<Got>) -> bool),
        (FaultKind::HangAfter, |got| got.is_none()),
        (FaultKind::LateAfter(SHORT), |got| got.unwrap().status == 200),
        (FaultKind::NoEnvelope, |got| got.unwrap().json() == json!({})),
        (FaultKind::NotJson200, |got| {
            let got = got.unwrap();
            got.status == 200 && serde_json::from_slice::<Value>(&got.body).is_err()
        }),
        (FaultKind::Huge, |got| {
            let got = got.unwrap();
            got.body.len() > 1 << 20 && got.json()["response"]["requestId"].is_string()
        }),
        (FaultKind::Truncated, |got| {
            let got = got.unwrap();
            let length = got.head.split("content-length: ").nth(1).unwrap();
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            got.status == 200 && !got.body.is_empty() && got.body.len() < length
        }),
    ] {
        let zec = Running::start();
        zec.emulator.inject(Fault::once(kind.clone()).on(UNASSIGN));
        assert_eq!(zec.describe().unwrap().status, 200);
        if kind == FaultKind::HangAfter {
            zec.patience.set(SHORT);
        }
        assert!(check(zec.unassign()), "{kind:?}");
        assert!(zec.is_done(), "{kind:?}");
    }
}

#[test]
fn another_vnic_is_shown_in_place_of_the_one_asked_for() {
    let zec = Running::start();
    zec.emulator.inject(Fault::once(FaultKind::WrongNic));
    let shown = zec.describe().unwrap().json();
    assert_eq!(shown["response"]["totalCount"], 1);
    assert_ne!(shown["response"]["dataSet"][0]["nicId"], NIC);
}

#[test]
fn a_delay_is_only_a_delay() {
    let zec = Running::with(|settings| {
        settings.faults = vec![Fault::always(FaultKind::Delay(Duration::from_millis(100)))];
    });
    let begun = Instant::now();
    assert_eq!(zec.unassign().unwrap().status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(100));
}

#[test]
fn a_wrong_clock_shows_in_the_date_and_in_the_check() {
    let zec = Running::start();
    let skew = || {
        let got = zec.describe().unwrap();
        let date = got.head.split("date: ").nth(1).unwrap().lines().next().unwrap();
        let date = httpdate::parse_http_date(date).unwrap();
        let ahead = date.duration_since(SystemTime::now()).unwrap_or_default().as_secs();
        let behind = SystemTime::now().duration_since(date).unwrap_or_default().as_secs();
        (ahead.next_multiple_of(10), behind / 10 * 10)
    };
    assert_eq!(skew(), (0, 0));
    zec.emulator.inject(Fault::always(FaultKind::ClockSkew(600)));
    assert_eq!(skew(), (600, 0));
    let code = |ahead| zec.signed(DESCRIBE, "2025-09-01", "{}", ahead).status;
    assert_eq!((code(0), code(600)), (401, 200));
    zec.emulator.inject(Fault::always(FaultKind::ClockSkew(-600)));
    assert_eq!(skew(), (0, 600));
    zec.emulator.inject(Fault::always(FaultKind::ClockSkew(i64::MAX)));
    zec.describe().unwrap();
    zec.emulator.clear_faults();
    assert_eq!((skew(), code(0)), ((0, 0), 200));
}

#[test]
fn a_late_answer_comes_long_after_the_change() {
    let zec = Running::start();
    zec.emulator.inject(Fault::once(FaultKind::LateAfter(Duration::from_hours(1))));
    zec.patience.set(SHORT);
    assert!(zec.unassign().is_none(), "nobody waits for an hour");
    assert!(zec.is_done());
}

#[test]
fn an_answer_that_comes_twice_is_whole_twice_and_the_connection_goes_on() {
    let zec = Running::start();
    zec.emulator.inject(Fault::once(FaultKind::Twice));
    let body = json!({"nicId": NIC, "ipAddresses": ["10.0.0.21"]}).to_string();
    let request = |end: &str| {
        format!(
            "POST /api/v2/zec HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n{end}\
             authorization: Bearer pat_1\r\nx-zc-action: {UNASSIGN}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let mut stream = TcpStream::connect(zec.address).unwrap();
    stream.set_read_timeout(Some(zec.patience.get())).unwrap();
    stream.write_all(request("").as_bytes()).unwrap();
    let mut got = Vec::new();
    while got.is_empty() || got[..got.len() / 2] != got[got.len() / 2..] {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "the connection ended: {}", String::from_utf8_lossy(&got));
        got.extend_from_slice(&piece[..read]);
    }
    let one = String::from_utf8(got[..got.len() / 2].to_vec()).unwrap();
    let (head, body) = one.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("\r\ndate: "), "{head}");
    assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
    assert_request_id(&serde_json::from_str::<Value>(body).unwrap()["requestId"]);
    assert!(zec.is_done());
    stream.write_all(request("connection: close\r\n").as_bytes()).unwrap();
    let mut next = String::new();
    stream.read_to_string(&mut next).unwrap();
    assert!(next.starts_with("HTTP/1.1 4") && next.contains("NOT_FOUND"), "{next}");
}

#[test]
fn a_change_is_not_shown_until_faults_are_cleared() {
    let zec = Running::start();
    zec.emulator.inject(Fault::once(FaultKind::Stale(Duration::from_hours(1))));
    let shown = || zec.describe().unwrap().json()["response"]["dataSet"][0].clone();
    let before = shown();
    assert_eq!(zec.unassign().unwrap().status, 200);
    assert!(zec.is_done());
    assert_eq!(shown(), before);
    let struck: Vec<_> = zec.emulator.requests().into_iter().map(|request| request.fault).collect();
    assert_eq!(struck, [None, Some("stale:1h".to_owned()), None], "the change, not a read");
    zec.emulator.clear_faults();
    assert_eq!(shown(), zec.emulator.nic(NIC).unwrap());
}
