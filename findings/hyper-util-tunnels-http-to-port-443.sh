#!/usr/bin/env bash
# Package: the Rust crate hyper-util 0.1.21.
#
# `client::legacy::connect::proxy::Tunnel` asks an HTTP proxy for a tunnel to the host of an address.
#
# Expected: if the address has no port, the scheme's own port, as HttpConnector takes it: 80 for `http`. Instead,
# the tunnel asks for port 443 for every scheme, so a plain request goes to the TLS port.
#
# Needs Rust 1.85 or later, and cargo.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "tunnel"
version = "0.0.0"
edition = "2024"
[dependencies]
hyper-util = { version = "=0.1.21", features = ["client-legacy", "client-proxy", "tokio", "http1"] }
tokio = { version = "=1.54.1", features = ["full"] }
tower-service = "=0.3.3"
TOML
cat >src/main.rs <<'RS'
use hyper_util::client::legacy::connect::{HttpConnector, proxy::Tunnel};
use tokio::{io::AsyncBufReadExt, io::BufReader, net::TcpListener};
use tower_service::Service;

#[tokio::main]
async fn main() {
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    for to in ["https://zec.example/", "http://zec.example/", "http://zec.example:80/"] {
        let mut tunnel = Tunnel::new(address.parse().unwrap(), HttpConnector::new());
        let asking = tokio::spawn(async move { tunnel.call(to.parse().unwrap()).await.is_ok() });
        let mut line = String::new();
        let (stream, _) = proxy.accept().await.unwrap();
        BufReader::new(stream).read_line(&mut line).await.unwrap();
        println!("{to} asks for {}", line.trim());
        asking.await.unwrap();
    }
}
RS
CARGO_TARGET_DIR=$work/target cargo run --quiet | tee told
diff - told <<'OUT'
https://zec.example/ asks for CONNECT zec.example:443 HTTP/1.1
http://zec.example/ asks for CONNECT zec.example:443 HTTP/1.1
http://zec.example:80/ asks for CONNECT zec.example:80 HTTP/1.1
OUT
echo "as described"
