//! Tests of how the bytes of a connection are split into messages.

use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

async fn wire(bytes: &[u8]) -> (Wire<DuplexStream>, DuplexStream, Left) {
    let (near, mut far) = duplex(1024);
    far.write_all(bytes).await.unwrap();
    let left = Left::default();
    (Wire::new(near, left.clone(), Phase::new()), far, left)
}

async fn next(wire: &mut Wire<DuplexStream>, room: usize) -> String {
    let mut buffer = vec![0; room];
    let count = wire.read(&mut buffer).await.unwrap();
    String::from_utf8(buffer[..count].to_vec()).unwrap()
}

#[tokio::test]
async fn heads_and_bodies_are_handed_on_one_at_a_time() {
    let (mut wire, _far, left) = wire(b"\r\nA b c\r\nD: e\r\n\r\nx\ny\n\nA\r\n\r\nB\r\n\r\n").await;
    assert_eq!(next(&mut wire, 999).await, "\r\nA b c\r\nD: e\r\n\r\n");
    left.await_body(&Full::new(Bytes::from_static(b"x\ny\n\n")));
    assert_eq!(next(&mut wire, 2).await, "x\n");
    assert!(left.has_body());
    assert_eq!(next(&mut wire, 999).await, "y\n\n");
    assert!(!left.has_body());
    assert_eq!(next(&mut wire, 2).await, "A\r");
    assert_eq!(next(&mut wire, 999).await, "\n\r\n");
    left.await_body(&Full::new(Bytes::new()));
    assert_eq!(next(&mut wire, 999).await, "B\r\n\r\n");
}

#[tokio::test]
async fn a_bare_line_feed_in_a_head_becomes_what_is_refused_at_once() {
    for (text, handed_on) in [
        ("\nA b c\r\n\r\nT", "\0"),
        ("A b c\nD: e\r\n\r\nT", "A b c\0"),
        ("A b c\r\nD: e\nF: g\r\n\r\nT", "A b c\r\nD: e\0"),
        ("A b c\r\nD: e\r\n\nT", "A b c\r\nD: e\r\n\0"),
        ("\r\n\r\nA\n\r\n", "\r\n\r\nA\0"),
    ] {
        let (mut wire, _far, _) = wire(text.as_bytes()).await;
        assert_eq!(next(&mut wire, 999).await, handed_on, "{text:?}");
        assert_eq!(next(&mut wire, 999).await, "\r\n\r\n", "{text:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_a_peer_in_the_midst_of_a_message_and_for_no_other() {
    let (mut whole, _far, left) = wire(b"A b c\r\n\r\n").await;
    next(&mut whole, 999).await;
    left.await_body(&Full::new(Bytes::new()));
    let started = tokio::time::Instant::now();
    whole.shutdown().await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);

    // In the middle of a head, or of a head after a complete message.
    for bytes in [&b"A b c\r\n"[..], b"A b c\r\n\r\nB"] {
        let (mut half, mut far, left) = wire(bytes).await;
        next(&mut half, 999).await;
        if bytes.ends_with(b"B") {
            left.await_body(&Full::new(Bytes::new()));
        }
        let started = tokio::time::Instant::now();
        half.shutdown().await.unwrap();
        assert!((LINGER..2 * LINGER).contains(&started.elapsed()), "{:?}", started.elapsed());
        let end = tokio::time::timeout(LINGER, far.read_u8()).await;
        end.expect("the peer is not told").unwrap_err();
    }

    let (mut gone, far, _) = wire(b"A b c\r\n").await;
    next(&mut gone, 999).await;
    drop(far);
    let started = tokio::time::Instant::now();
    gone.shutdown().await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn the_next_head_is_read_only_when_the_answer_before_it_is_flushed() {
    let (mut wire, _far, left) = wire(b"A\r\n\r\nB\r\n\r\n").await;
    assert_eq!(next(&mut wire, 999).await, "A\r\n\r\n");
    left.await_body(&Full::new(Bytes::new()));
    left.hold_until_flushed(HeldUntilSent::default());
    let early = std::pin::pin!(next(&mut wire, 999)).poll(&mut Context::from_waker(Waker::noop()));
    assert!(early.is_pending(), "more than one answer waits");
    wire.flush().await.unwrap();
    assert!(!left.holds(), "what is flushed still holds its places");
    assert_eq!(next(&mut wire, 999).await, "B\r\n\r\n");
}
