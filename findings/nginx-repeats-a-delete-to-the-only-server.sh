#!/usr/bin/env bash
# Package: Debian's nginx 1.22.1-9+deb12u11.
#
# nginx is in front of one server and keeps connections to it. The server reads a DELETE that comes over a kept
# connection, and hangs up without an answer. There is no other server to try.
#
# Expected: 502 and one DELETE, because `proxy_next_upstream` is about the next server. Instead, nginx sends the
# DELETE to the same server again, over a new connection, and answers the client with 200. It repeats the methods
# that RFC 9110 calls idempotent, such as DELETE and PUT, but not POST. `proxy_next_upstream off` stops it.
#
# Needs Debian 12, apt-get (it only downloads), curl and Python 3.
set -euo pipefail
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
apt-get -qq download nginx=1.22.1-9+deb12u11 >/dev/null
for package in ./*.deb; do dpkg -x "$package" root; done

cat >server.py <<'PY'
"""Answers the first request of each connection, reads the second one, and hangs up."""
import socket, threading

def serve(connection, number):
    for answers in (True, False):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            more = connection.recv(4096)
            if not more:
                return
            head += more
        print(head.split(b" HTTP")[0].decode(), "on connection", number, flush=True)
        if answers:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    connection.close()

listener = socket.create_server(("127.0.0.1", 0))
open("server.port", "w").write(str(listener.getsockname()[1]))
number = 0
while True:
    number += 1
    threading.Thread(target=serve, args=(listener.accept()[0], number), daemon=True).start()
PY

run() { # a setting, a method
  rm -f server.port
  python3 server.py >seen & local server=$!
  until [ -s server.port ]; do sleep 0.05; done
  local front
  front=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  cat >nginx.conf <<CFG
daemon off; master_process off; pid $work/pid; error_log $work/error.log;
events {}
http {
  access_log off;
  client_body_temp_path $work/b; proxy_temp_path $work/p; fastcgi_temp_path $work/f;
  uwsgi_temp_path $work/u; scgi_temp_path $work/s;
  upstream one { server 127.0.0.1:$(cat server.port); keepalive 4; }
  server {
    listen 127.0.0.1:$front;
    location / { proxy_pass http://one; proxy_http_version 1.1; proxy_set_header Connection ""; $1 }
  }
}
CFG
  root/usr/sbin/nginx -c "$work/nginx.conf" -e "$work/error.log" & local nginx=$!
  until (: </dev/tcp/127.0.0.1/"$front") 2>/dev/null; do sleep 0.05; done
  curl -s -o /dev/null "http://127.0.0.1:$front/first"
  echo "$2${1:+ with $1}: $(curl -s -o /dev/null -w '%{http_code}' -X "$2" "http://127.0.0.1:$front/second"), sent $(grep -c "$2 /second" seen) times"
  kill "$nginx" "$server"
  wait "$nginx" "$server" 2>/dev/null || true
}
{ run "" DELETE; run "" POST; run "proxy_next_upstream off;" DELETE; } | tee told
diff - told <<'OUT'
DELETE: 200, sent 2 times
POST: 502, sent 1 times
DELETE with proxy_next_upstream off;: 502, sent 1 times
OUT
echo "as described"
