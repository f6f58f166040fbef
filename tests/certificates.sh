#!/bin/sh
# Makes an authority and what it has signed, in the folder that is named: ca.crt and other.crt, an authority that has signed nothing;
# server.crt and server.key, for the name localhost; client.crt and client.key. For two days.
set -e
cd "$1"
exec </dev/null >/dev/null 2>&1
new="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
for authority in ca other; do
    # shellcheck disable=SC2086  # words
    openssl req -x509 $new -days 2 -subj "/CN=an authority of a test" -keyout $authority.key -out $authority.crt
done
for name in server client; do
    # shellcheck disable=SC2086  # words
    openssl req $new -subj "/CN=$name" -keyout $name.key -out $name.csr
    echo "subjectAltName=DNS:localhost" >$name.ext
    openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile $name.ext -out $name.crt
    rm $name.csr $name.ext
done
rm -f ca.srl
