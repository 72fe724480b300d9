# shellcheck shell=bash
# Sourced by every step: where things are, and how a step tells a person what it does.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TOOLS="$ROOT/.tools"
# shellcheck disable=SC2034 # read by the scripts that source this one
BIN="$TOOLS/bin"
# Each step looks for what the machine itself has; make puts .tools/bin in front for everything else.
PATH=${PATH//"$BIN:"/}
STEP=$(basename "$0" .sh)

say() { printf '%s: %s\n' "$STEP" "$*" >&2; }

give_up() {
    say "FAILED: $1"
    shift
    local line
    for line in "$@"; do say "  $line"; done
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# Runs a command with its output kept in a log; the log's end is shown only when it fails.
# quietly LOG COMMAND...
quietly() {
    local log="$TOOLS/log/$1.log"
    shift
    mkdir -p "$TOOLS/log"
    if "$@" >"$log" 2>&1 </dev/null; then return 0; fi
    say "this failed: $*"
    tail -n 6 "$log" | cut -c 1-240 | sed 's/^/    | /' >&2
    say "the whole of it: ${log#"$ROOT"/}"
    return 1
}

# A folder for work in progress, on the file system of .tools so that a finished result is moved into
# place in one step: a step that is interrupted leaves nothing half-made.
scratch_folder() {
    mkdir -p "$TOOLS"
    mktemp -d "$TOOLS/scratch.XXXXXX"
}
