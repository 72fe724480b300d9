#!/bin/sh
# Starts Envoy with the filter's secrets in its environment, read from files where files are given: a mounted
# secret then stays out of the container's own description.
set -eu

if [ -n "${KRAITER_KEYRING_FILE:-}" ]; then
    KRAITER_KEYRING=$(cat "$KRAITER_KEYRING_FILE")
fi
if [ -n "${KRAITER_INGEST_SECRET_FILE:-}" ]; then
    KRAITER_INGEST_SECRET=$(cat "$KRAITER_INGEST_SECRET_FILE")
fi
: "${KRAITER_KEYRING:?the signing keys are missing: set it to what \`kraiter keyring show --expose\` prints}"
: "${KRAITER_INGEST_SECRET:?the secret that the service takes events with is missing}"
export KRAITER_KEYRING KRAITER_INGEST_SECRET

exec envoy "$@"
