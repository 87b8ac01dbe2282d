#!/bin/bash
# node: HTTP with keep-alive, streams, many connections.
needs=(node curl)
. "$(dirname "$0")/lib.sh"

free_port port
cat >server.js <<'END'
const http = require("http"), crypto = require("crypto");
http.createServer((q, r) => {
	if (q.url === "/hash") {
		const h = crypto.createHash("sha256");
		q.on("data", d => h.update(d)).on("end", () => r.end(h.digest("hex") + "\n"));
	} else if (q.url === "/stream") {
		let i = 0;
		const t = setInterval(() => { r.write(`${i}\n`); if (++i === 10) { clearInterval(t); r.end(); } }, 5);
	} else if (q.url === "/large") {
		r.end(Buffer.alloc(3000000, "n"));
	} else {
		r.setHeader("Content-Type", "application/json");
		r.end(JSON.stringify({ url: q.url, method: q.method }) + "\n");
	}
}).listen(process.argv[2], "0.0.0.0");
process.on("SIGTERM", () => process.exit(0));
END
url=http://127.0.0.1:$port
cell=(--jit)
serve node "$port" -- "$(readlink -f "$(command -v node)")" server.js "$port"
ready node curl -sf "$url/"
is "$(curl -s "$url/path?x=1")" '{"url":"/path?x=1","method":"GET"}' "a request"
head -c 4000000 /dev/urandom >blob
is "$(curl -s --data-binary @blob "$url/hash")" "$(sha256sum <blob | cut -d' ' -f1)" "an upload of 4 MB"
is "$(curl -s "$url/stream")" "$(seq 0 9)" "a stream in chunks"
is "$(curl -s "$url/large" | md5sum)" "$(head -c 3000000 /dev/zero | tr '\0' n | md5sum)" "3 MB"
is "$(curl -s "$url/[1-300]" | wc -l)" 300 "300 requests on one connection"
is "$(curl -s -Z --parallel-max 50 "$url/[1-300]" 2>/dev/null | sort -u | wc -l)" 300 "300 requests on 50"
stopped node 0
finish
