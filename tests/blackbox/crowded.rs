//! A full listener: which connections it closes, which it keeps, and which clients it informs.

use std::{fs, io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use zec_gateway::emulator::{Fault, FaultKind};

use crate::{
    client::{self, PATIENCE},
    program::{Files, Served},
    secure,
    world::{Caller, NIC, Setup, World},
};

async fn with(most: usize) -> World {
    let server =
        format!("max_connections = {most}\nheader_timeout = \"1h\"\nidle_timeout = \"1h\"");
    Setup { server, ..Setup::default() }.start().await
}

async fn connect(world: &World) -> TcpStream {
    TcpStream::connect(world.gateway).await.unwrap()
}

/// Connects, sends a request, and keeps the connection.
async fn kept(world: &World, caller: &Caller, status: u16) -> TcpStream {
    let mut stream = connect(world).await;
    let text = caller.text("GET", "/whoami", &[], None);
    stream.write_all(text.as_bytes()).await.unwrap();
    let answer = client::read(&mut stream).await.expect("an answer");
    assert_eq!(answer.status, status);
    stream
}

async fn until_closed(stream: &mut TcpStream) {
    let end = tokio::time::timeout(PATIENCE, stream.read(&mut [0])).await;
    assert_eq!(end.expect("it stays open").unwrap_or_default(), 0);
}

fn is_open(stream: &TcpStream) -> bool {
    stream.try_read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

#[tokio::test]
async fn strangers_who_hold_every_connection_keep_no_caller_out() {
    let world = with(3).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(connect(&world).await);
    }
    world.until_metric("connections{state=\"anonymous\"}", 3.0).await;
    assert_eq!(world.alice().get("/whoami").await.status, 200);
    until_closed(&mut held[0]).await;
    assert!(is_open(&held[1]) && is_open(&held[2]), "more of them ended than there was need of");
}

#[tokio::test]
async fn connections_of_strangers_end_first_and_those_idle_longest_before_others() {
    let world = with(4).await;
    let alice = world.alice();
    let mut held = [
        kept(&world, &alice, 200).await,
        kept(&world, &alice, 200).await,
        connect(&world).await,
        kept(&world, &world.stranger(), 401).await,
    ];
    // A connection that has sent another request has not been idle as long as the other.
    let text = alice.text("GET", "/whoami", &[], None);
    tokio::time::sleep(Duration::from_millis(5)).await;
    held[0].write_all(text.as_bytes()).await.unwrap();
    assert_eq!(client::read(&mut held[0]).await.expect("an answer").status, 200);
    let mut fresh = Vec::new();
    for first in [2, 3, 1, 0] {
        fresh.push(kept(&world, &alice, 200).await);
        until_closed(&mut held[first]).await;
        held[first] = fresh.pop().unwrap();
        assert!(held.iter().all(is_open), "another one ended, too");
    }
}

#[tokio::test]
async fn what_runs_does_not_end_for_another_however_long_it_takes() {
    let world = with(2).await;
    world.zec.inject(Fault::always(FaultKind::Hang));
    let mut busy = connect(&world).await;
    let look = world.alice().text("GET", &format!("/nics/{NIC}"), &[], None);
    busy.write_all(look.as_bytes()).await.unwrap();
    world.until_sent(1).await;
    let mut idle = kept(&world, &world.alice(), 200).await;
    assert_eq!(world.alice().get("/whoami").await.status, 200);
    until_closed(&mut idle).await;
    assert!(is_open(&busy));
}

#[tokio::test]
async fn what_runs_is_answered_whole_and_ends_after_it_where_somebody_waits() {
    let world = with(1).await;
    world.zec.inject(Fault::once(FaultKind::Delay(Duration::from_millis(500))));
    let mut busy = connect(&world).await;
    let look = world.alice().text("GET", &format!("/nics/{NIC}"), &[], None);
    busy.write_all(look.as_bytes()).await.unwrap();
    world.until_sent(1).await;
    let next = tokio::spawn({
        let alice = world.alice();
        async move { alice.get("/whoami").await }
    });
    assert_eq!(client::read(&mut busy).await.expect("an answer").status, 200);
    until_closed(&mut busy).await;
    assert_eq!(next.await.unwrap().status, 200);
}

#[tokio::test]
async fn operators_see_what_connections_do_and_that_there_is_no_room_for_more() {
    let world = with(4).await;
    assert_eq!(world.metric("connections{state=\"active\"}").await, 0.0);
    assert!(world.ready().await.text().contains("listener full: no, 0 of 4 connections\n"));
    world.zec.inject(Fault::always(FaultKind::Hang));
    let mut busy = connect(&world).await;
    let look = world.alice().text("GET", &format!("/nics/{NIC}"), &[], None);
    busy.write_all(look.as_bytes()).await.unwrap();
    world.until_sent(1).await;
    let _idle = kept(&world, &world.alice(), 200).await;
    let _strangers = (connect(&world).await, kept(&world, &world.stranger(), 401).await);
    for (state, count) in [("active", 1.0), ("idle", 1.0), ("anonymous", 2.0)] {
        world.until_metric(&format!("connections{{state=\"{state}\"}}"), count).await;
    }
    let ready = world.ready().await;
    assert!(ready.text().contains("listener full: yes, 4 of 4 connections\n"), "{}", ready.text());
    assert_eq!(ready.status, 200, "new connections are taken all the same");
}

#[tokio::test]
async fn a_handshake_that_never_ends_makes_room_for_a_caller() {
    let server = "max_connections = 2\nhandshake_timeout = \"1h\"";
    let (world, authority) = secure::secure(server).await;
    let (mut held, mut served) = (vec![connect(&world).await, connect(&world).await], Vec::new());
    for protocol in ["h2", "http/1.1"] {
        let client = secure::Client::new(&authority).speaks(&[protocol]);
        served.push(client.connect(world.gateway).await.expect("a handshake"));
        until_closed(&mut held.remove(0)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_once_a_minute_that_the_listener_is_full() {
    let files = Files::new("https://console.zenlayer.com");
    let text = fs::read_to_string(files.config()).unwrap();
    let text = text.replacen("[server]", "[server]\nmax_connections = 2", 1);
    fs::write(files.config(), text).unwrap();
    let mut served = Served::start(&files, "info");
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(TcpStream::connect(served.gateway).await.unwrap());
    }
    for stream in &mut held[..18] {
        until_closed(stream).await;
    }
    assert_eq!(served.stop(), Some(0));
    assert_eq!(served.said.matches("the listener is full").count(), 1, "{}", served.said);
    let event = served.event("the listener is full");
    assert_eq!((&event["max_connections"], &event["anonymous"]), (&2.into(), &2.into()));
}

#[tokio::test]
async fn a_trusted_proxy_that_never_says_for_whom_it_asks_makes_room_and_holds_up_no_drain() {
    let server = "max_connections = 1\ntrusted_proxies = [\"127.0.0.1\"]\n\
                  header_timeout = \"1h\"\nhandshake_timeout = \"1h\"\ndrain_timeout = \"1h\"";
    let mut world = Setup { server: server.to_owned(), ..Setup::default() }.start().await;
    let mut silent = connect(&world).await;
    world.until_metric("connections{state=\"anonymous\"}", 1.0).await;
    let mut next = connect(&world).await;
    until_closed(&mut silent).await;
    let line = "PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n";
    let text = format!("{line}{}", world.alice().text("GET", "/whoami", &[], None));
    next.write_all(text.as_bytes()).await.unwrap();
    assert_eq!(client::read(&mut next).await.expect("an answer").status, 200);
    drop(next);
    let mut silent = connect(&world).await;
    world.until_metric("connections{state=\"anonymous\"}", 1.0).await;
    world.ask_to_stop();
    until_closed(&mut silent).await;
    assert!(world.stopped().await);
}
