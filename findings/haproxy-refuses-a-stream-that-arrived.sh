#!/usr/bin/env bash
# Package: Debian's haproxy 2.6.12-1+deb12u4, with Node's http2 as the client.
#
# A client speaks HTTP/2 to HAProxy, which speaks HTTP/1.1 to one server. The server reads the second request of
# a connection, a DELETE, and hangs up without an answer.
#
# Expected: 502, because the server has the request, and nobody knows what it did. Instead, HAProxy resets the
# stream with REFUSED_STREAM. RFC 9113, 8.7, lets a server say that only if it has not processed the request at
# all. Clients automatically retry such a request, a DELETE too. The first request of a connection does get 502.
# `retries 0`, `retry-on none` and `option disable-l7-retry`, where they apply, do not change this.
#
# Needs Debian 12, apt-get (it only downloads), Node 20 and Python 3.
set -euo pipefail
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
apt-get -qq download haproxy=2.6.12-1+deb12u4 liblua5.3-0 libopentracing-c-wrapper0 libopentracing1 >/dev/null
for package in ./*.deb; do dpkg -x "$package" root; done
libraries=$(find "$work/root" -name '*.so*' -exec dirname {} + | sort -u | paste -sd:)

cat >server.py <<'PY'
"""Answers the first request of each connection, reads the second one, and hangs up."""
import socket, sys, threading

def serve(connection):
    for answers in (True, False):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            more = connection.recv(4096)
            if not more:
                return
            head += more
        print("server read:", head.split(b" HTTP")[0].decode(), flush=True)
        if answers:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    connection.close()

listener = socket.create_server(("127.0.0.1", 0))
open("server.port", "w").write(str(listener.getsockname()[1]))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
PY
python3 server.py >seen &
until [ -s server.port ]; do sleep 0.05; done

front=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >haproxy.cfg <<CFG
defaults
  mode http
  retries 0
  retry-on none
  timeout connect 5s
  timeout client 10s
  timeout server 10s
frontend f
  bind 127.0.0.1:$front proto h2
  default_backend b
backend b
  http-reuse always
  server s 127.0.0.1:$(cat server.port)
CFG
LD_LIBRARY_PATH=$libraries root/usr/sbin/haproxy -f haproxy.cfg -db 2>haproxy.log &
until (: </dev/tcp/127.0.0.1/"$front") 2>/dev/null; do sleep 0.05; done

cat >client.mjs <<'JS'
import http2 from 'node:http2';
const session = http2.connect(`http://127.0.0.1:${process.argv[2]}`);
const ask = (method, path) => new Promise(resolve => {
  const stream = session.request({':method': method, ':path': path});
  stream.on('response', headers => resolve(`status ${headers[':status']}`));
  stream.on('error', () => {});
  stream.on('close', () => resolve(`reset with error code ${stream.rstCode}`));
  stream.resume().end();
});
console.log('client GET /first:', await ask('GET', '/first'));
console.log('client DELETE /second:', await ask('DELETE', '/second'));
session.destroy();
JS
node client.mjs "$front" >told
cat told seen
diff - <(cat told seen) <<'OUT'
client GET /first: status 200
client DELETE /second: reset with error code 7
server read: GET /first
server read: DELETE /second
OUT
echo "as described (error code 7 is REFUSED_STREAM)"
