#!/usr/bin/env bash
# Makes a machine ready to build, run and test the project; says nothing where nothing is missing.
#   tools/setup.sh         what every make target needs
#   tools/setup.sh lint    what only `make lint` needs
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

case "${1:-build}" in
    build) steps="compiler wasm-target envoy postgres" ;;
    lint) steps="lint-programs" ;;
    *)
        echo "setup: unknown argument \"$1\"; call it with none, or with: lint" >&2
        exit 2
        ;;
esac

# Two make calls at once would install the same thing twice: the second one waits for the first.
mkdir -p "$here/../.tools"
if command -v flock >/dev/null 2>&1; then
    exec 9>"$here/../.tools/lock"
    flock 9
fi

for step in $steps; do
    "$here/$step.sh" 9>&-
done
