#!/usr/bin/env bash
# Checks for what everything else is built with: a Rust new enough, and a C compiler that links for it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/say.sh"
source "$here/debian.sh"

cd "$ROOT"
WANTED=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

if ! have rustc || ! have cargo; then
    give_up "rustc and cargo are not on PATH" \
        "install Rust $WANTED or newer with rustup, then open a new shell"
fi
compiler=$(rustc -V) || give_up "rustc is on PATH but does not run; its own message stands above"
release=$(cut -d' ' -f2 <<<"$compiler")
if [ "$(printf '%s\n' "$WANTED" "${release%%-*}" | sort -V | head -n 1)" != "$WANTED" ]; then
    give_up "$compiler is older than $WANTED, the oldest that builds this project" "rustup update"
fi

have cc || install_packages gcc libc6-dev || give_up "no C compiler (cc) on PATH" \
    "install one: Debian's gcc and libc6-dev, or the platform's developer tools"
