#!/usr/bin/env bash
# Makes a machine ready to build, run and test the project. Says nothing where nothing is missing.
#   tools/setup.sh         what every make target needs
#   tools/setup.sh test    what only `make test` needs
#   tools/setup.sh lint    what only `make lint` needs
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

case "${1:-build}" in
    build) steps="compiler wasm-target envoy postgres" ;;
    test) steps="browser client contract" ;;
    lint) steps="lint-programs" ;;
    *)
        echo "setup: unknown argument \"$1\"; call it with none, or with: test, lint" >&2
        exit 2
        ;;
esac

# Two make calls at once would install the same thing twice: the second one waits for the first.
tools="$here/../.tools"
mkdir -p "$tools"
if command -v flock >/dev/null 2>&1; then
    exec 9>"$tools/lock"
    if ! flock --nonblock 9; then
        echo "setup: waiting for another setup of this folder to finish" >&2
        flock 9
    fi
    # Left by a setup that was interrupted.
    rm -rf "$tools"/scratch.*
fi

for step in $steps; do
    "$here/$step.sh" 9>&-
done
