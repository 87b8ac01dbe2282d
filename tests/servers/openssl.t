#!/bin/bash
# openssl s_server: versions, ciphers, resumption, client certificates, files.
needs=(openssl curl)
. "$(dirname "$0")/lib.sh"

free_port port
certificate
echo content >file
head -c 2000000 /dev/urandom >large
serve openssl "$port" -- /usr/bin/openssl s_server -accept "$port" -cert cert.pem -key key.pem -CAfile cert.pem -verify 1 -WWW -quiet
connect() {
	timeout 100 openssl s_client -connect "127.0.0.1:$port" -CAfile cert.pem "$@" 2>&1 </dev/null
}
ready openssl sh -c "timeout 30 openssl s_client -connect 127.0.0.1:$port </dev/null 2>&1 | grep -q 'BEGIN CERT'"
is "$(curl -s --cacert cert.pem "https://127.0.0.1:$port/file")" content "a file"
is "$(curl -s --cacert cert.pem "https://127.0.0.1:$port/large" | sha256sum)" "$(sha256sum <large)" "2 MB"
for cipher in TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256 TLS_AES_128_GCM_SHA256; do
	like "$(connect -tls1_3 -ciphersuites $cipher)" "New, TLSv1.3, Cipher is $cipher" "TLS 1.3 with $cipher"
done
for cipher in ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-CHACHA20-POLY1305 DHE-RSA-AES128-GCM-SHA256; do
	like "$(connect -tls1_2 -cipher $cipher)" "New, TLSv1.2, Cipher is $cipher" "TLS 1.2 with $cipher"
done
like "$(connect -tls1_2 -reconnect)" 'Reused, TLSv1.2' "a session is resumed"
like "$(connect)" 'Verify return code: 0' "the certificate"
like "$(connect -cert cert.pem -key key.pem)" 'Verify return code: 0' "a client's certificate"
like "$(connect -tls1)" 'alert|no protocols|error' "an old version is refused"
kill "$server"
finish
