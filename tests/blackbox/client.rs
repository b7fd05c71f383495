//! A client that sends exactly the given bytes.

use std::{fmt::Write as _, net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Far longer than anything takes; only a failing test reaches it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A complete answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header, if it appears exactly once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(one, _)| one == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// Status, slug and code of a problem, on which clients branch.
    pub fn problem(&self) -> (u16, String, String) {
        let json = self.json();
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{json}");
        assert_eq!(json["status"], self.status);
        for member in ["title", "detail", "code", "message", "requestId"] {
            assert!(!text(member).is_empty(), "{member} is missing: {json}");
        }
        let slug = text("type").strip_prefix("/problems/").expect("a type").to_owned();
        (self.status, slug, text("code"))
    }

    fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&bytes[..end - 4]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
        let body = bytes.get(end..end + length)?.to_vec();
        Some((Self { status, headers, body }, end + length))
    }
}

/// Sends raw bytes on a new connection and reads one answer; `None` if the peer closes instead.
pub async fn raw(address: SocketAddr, bytes: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(bytes).await;
    read(&mut stream).await
}

/// Reads one answer; `None` if the peer closes instead.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Answer> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        if let Some((answer, _)) = Answer::parse(&bytes) {
            return Some(answer);
        }
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await;
        match read.expect("the peer neither answers nor closes") {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

/// The way in which the peer ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// An orderly close: all earlier data of the peer has arrived.
    Closed,
    /// A reset, which may destroy an answer in transit.
    Reset,
}

/// Sends raw bytes on a new connection and reads until the peer ends it. Returns every answer and the way in which the
/// connection ended. The sending side stays open, so only the peer can have ended it.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> (Vec<Answer>, End) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    let bytes = bytes.to_vec();
    // Runs as its own task: the peer may answer, or end the connection, before it has read everything.
    let sending = tokio::spawn(async move {
        let _ = to.write_all(&bytes).await;
        to
    });
    let mut said = Vec::new();
    let read = tokio::time::timeout(PATIENCE, from.read_to_end(&mut said)).await;
    let end = match read.expect("the peer does not end the connection") {
        Ok(_) => End::Closed,
        Err(_) => End::Reset,
    };
    let _ = sending.await;
    let mut answers = Vec::new();
    let mut rest = said.as_slice();
    while let Some((answer, length)) = Answer::parse(rest) {
        answers.push(answer);
        rest = &rest[length..];
    }
    assert!(rest.is_empty(), "half an answer: {:?}", String::from_utf8_lossy(rest));
    (answers, end)
}

/// A request with these headers and an optional body, in the plain form.
pub fn request(method: &str, target: &str, headers: &[(&str, &str)], body: Option<&str>) -> String {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: gateway\r\n");
    for (name, value) in headers {
        write!(text, "{name}: {value}\r\n").unwrap();
    }
    if let Some(body) = body {
        write!(text, "Content-Length: {}\r\n", body.len()).unwrap();
    }
    text.push_str("\r\n");
    text.push_str(body.unwrap_or_default());
    text
}
