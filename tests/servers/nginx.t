#!/bin/bash
# nginx in one process: files, TLS with HTTP/2, and as a proxy of itself over the cell's loopback.
needs=(nginx curl openssl)
. "$(dirname "$0")/lib.sh"

mkdir -p root log tmp
head -c 3000000 /dev/urandom >root/large.bin
for i in {1..100}; do echo "file $i" >"root/$i.txt"; done
certificate
free_port port
free_port tls
free_port inner
cat >nginx.conf <<END
daemon off;
master_process off;
pid $PWD/nginx.pid;
error_log stderr warn;
events { worker_connections 512; }
http {
	access_log $PWD/access.log;
	client_body_temp_path $PWD/tmp/body; proxy_temp_path $PWD/tmp/proxy;
	fastcgi_temp_path $PWD/tmp/f; uwsgi_temp_path $PWD/tmp/u; scgi_temp_path $PWD/tmp/s;
	client_max_body_size 20m;
	sendfile on; tcp_nopush on; gzip on; gzip_types text/plain; gzip_min_length 1;
	server {
		listen $port;
		root $PWD/root;
		location = /status { stub_status; }
		location = /echo { return 200 "\$request_method \$arg_x"; }
		location /proxy/ { proxy_pass http://127.0.0.1:$inner/; proxy_http_version 1.1; }
		location /big/ { proxy_pass http://127.0.0.1:$inner/; proxy_buffers 4 4k; }
	}
	server {
		listen $tls ssl http2;
		ssl_certificate $PWD/cert.pem; ssl_certificate_key $PWD/key.pem;
		root $PWD/root;
	}
	server { listen 127.0.0.1:$inner; root $PWD/root; location = /body { return 200 "\$content_length\n"; } }
}
END
url=http://127.0.0.1:$port
serve nginx "$port" "$tls" -- "${NGINX_PROGRAM:-/usr/sbin/nginx}" -c "$PWD/nginx.conf" -e stderr
ready nginx curl -sf "$url/1.txt"
is "$(curl -s "$url/1.txt")" "file 1" "a file"
is "$(curl -s "$url/large.bin" | sha256sum)" "$(sha256sum <root/large.bin)" "3 MB by sendfile"
is "$(curl -s "$url/echo?x=42")$(curl -s -X PUT "$url/echo?x=1")" 'GET 42PUT 1' "requests are understood"
is "$(curl -s --compressed "$url/2.txt")" "file 2" "gzip"
is "$(curl -s "$url/proxy/3.txt")" "file 3" "as a proxy"
is "$(curl -s "$url/big/large.bin" | sha256sum)" "$(sha256sum <root/large.bin)" "3 MB through the proxy"
is "$(curl -s -o /dev/null -w '%{http_code}' --data-binary @root/large.bin "$url/proxy/body")" 200 "an upload through the proxy"
is "$(curl -s --cacert cert.pem "https://127.0.0.1:$tls/4.txt")" "file 4" "TLS"
is "$(curl -s --cacert cert.pem --http2 -o /dev/null -w '%{http_version}' "https://127.0.0.1:$tls/4.txt")" 2 "HTTP/2"
is "$(curl -s --cacert cert.pem "https://127.0.0.1:$tls/large.bin" | sha256sum)" "$(sha256sum <root/large.bin)" "3 MB by TLS"
curl -s -Z --parallel-max 40 "$url/[1-100].txt" -o 'got.#1' 2>/dev/null
is "$(cat got.* | sort -k2n)" "$(for i in {1..100}; do echo "file $i"; done)" "100 files on 40 connections"
is "$(curl -s --cacert cert.pem --http2 -Z "https://127.0.0.1:$tls/[1-100].txt" 2>/dev/null | sort -k2n)" "$(for i in {1..100}; do echo "file $i"; done)" "100 files on one connection"
like "$(curl -s "$url/status")" '^Active connections: [0-9]+' "its status"
stopped nginx 0
is "$(grep -c ' 200 ' access.log)" "$(wc -l <access.log)" "all requests of the log succeeded"
finish
