#!/bin/sh
# Makes the secrets of compose.yaml, once, in the directory `secrets` or in the one that is named: passwords for
# Redis, a session secret, and a certificate for the name localhost, to be replaced by the site's own.
#
# The directory can be opened by its owner alone. Its files can be read by everybody who can open it, because each
# container reads its own as another user.
set -eu
secrets=${1:-$(dirname "$0")/secrets}
umask 022
mkdir -m 0700 "$secrets"

sha256() {
    printf %s "$1" | sha256sum | cut -d ' ' -f 1
}

password=$(openssl rand -hex 32)
operator=$(openssl rand -hex 32)
cat >"$secrets/checkin.toml" <<EOF
store = "redis://checkin:$password@redis:6379"
session-secret = ["$(openssl rand -hex 32)"]
EOF

# The services need no dangerous command besides INFO and ROLE, and only keys that begin with the prefix. Before Redis 7,
# all of CLIENT is dangerous. The operator is who makes backups.
cat >"$secrets/users.acl" <<EOF
user default off
user checkin on #$(sha256 "$password") ~ncc:* ~{ncc:* +@all -@dangerous +info +role +client|id +client|tracking
user operator on #$(sha256 "$operator") ~* &* +@all
EOF
echo "$operator" >"$secrets/redis-operator-password"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
    -keyout "$secrets/tls.key" -out "$secrets/tls.crt" 2>/dev/null
chmod 0444 "$secrets"/*
