#!/bin/bash
# lighttpd: files.
needs=(lighttpd curl)
. "$(dirname "$0")/lib.sh"

mkdir root
echo '<h1>hello</h1>' >root/index.html
head -c 5000000 /dev/urandom >root/large.bin
for i in {1..200}; do echo "file $i" >"root/$i.txt"; done
: >root/empty
echo before >root/changing
free_port port
cat >lighttpd.conf <<END
server.document-root = "$PWD/root"
server.port = $port
server.modules = ("mod_accesslog", "mod_deflate", "mod_redirect", "mod_status")
index-file.names = ("index.html")
mimetype.assign = (".html" => "text/html", ".txt" => "text/plain")
accesslog.filename = "$PWD/access.log"
deflate.mimetypes = ("text/html")
url.redirect = ("^/old\$" => "/1.txt")
status.status-url = "/status"
END
url=http://127.0.0.1:$port
serve lighttpd "$port" -- /usr/sbin/lighttpd -D -f lighttpd.conf
ready lighttpd curl -sf "$url/"
is "$(curl -s "$url/")" '<h1>hello</h1>' "the index"
is "$(curl -s "$url/large.bin" | sha256sum)" "$(sha256sum <root/large.bin)" "5 MB"
is "$(curl -s -r 1000000-1000999 "$url/large.bin" | sha256sum)" "$(tail -c +1000001 root/large.bin | head -c 1000 | sha256sum)" "a range"
is "$(curl -s -o /dev/null -w '%{http_code} %{size_download}' "$url/empty")" "200 0" "an empty file"
is "$(curl -s -o /dev/null -w '%{http_code}' "$url/nothing")" 404 "no such file"
is "$(curl -sI "$url/1.txt" | tr -d '\r' | grep -i '^content-')" $'Content-Type: text/plain\nContent-Length: 7' "HEAD"
is "$(curl -sL "$url/old")" "file 1" "a redirection"
is "$(curl -s --compressed "$url/")" '<h1>hello</h1>' "compressed"
etag=$(curl -sI "$url/1.txt" | tr -d '\r' | sed -n 's/^ETag: //p')
is "$(curl -s -o /dev/null -w '%{http_code}' -H "If-None-Match: $etag" "$url/1.txt")" 304 "not modified"
is "$(curl -s -o /dev/null -w '%{num_connects}\n' "$url/1.txt" -o /dev/null "$url/2.txt" -o /dev/null "$url/3.txt" | paste -sd+ | bc)" 1 "one connection for three requests"
curl -s "$url/[1-200].txt" >all
is "$(cat all)" "$(for i in {1..200}; do echo "file $i"; done)" "200 files one after the other"
curl -s -Z --parallel-max 50 "$url/[1-200].txt" -o 'got.#1' 2>/dev/null
is "$(cat got.* | sort -k2n)" "$(cat all)" "200 files on 50 connections"
is "$(for i in 1 2 3 4; do curl -s "$url/large.bin" | sha256sum & done; wait)" "$(for i in 1 2 3 4; do sha256sum <root/large.bin; done)" "four times 5 MB at once"
is "$(curl -s --limit-rate 2M "$url/large.bin" | sha256sum)" "$(sha256sum <root/large.bin)" "to a slow reader"
is "$(curl -s "$url/changing")" before "a file that will change"
echo changed >root/changing
becomes changed "a change of the file is seen" curl -s "$url/changing" # it caches for a second
refusal=$(exec 3<>"/dev/tcp/127.0.0.1/$port" && printf 'NONSENSE\r\n\r\n' >&3 && timeout 60 head -n 1 <&3)
is "$refusal" $'HTTP/1.0 400 Bad Request\r' "nonsense is refused"
stopped lighttpd 0
is "$(grep -c 'GET /[0-9]*.txt' access.log)" 405 "each request is in the log"
finish
