#!/usr/bin/env bash
# Makes sure that the dashboard's test has a Chromium and a Node.js that can drive it, and its packages.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/say.sh"
source "$here/debian.sh"

OLDEST=20
TESTS="$ROOT/tests/browser"

# Where packagers put it; the test looks there too.
find_chromium() {
    local program
    for program in chromium chromium-browser google-chrome; do
        if [ -x "/usr/bin/$program" ]; then return 0; fi
    done
    return 1
}

find_node() {
    if ! have npm || ! have node; then return 1; fi
    [ "$(node --print 'process.versions.node.split(".")[0]')" -ge "$OLDEST" ]
}

if ! find_chromium && ! { install_packages chromium && find_chromium; }; then
    give_up "no Chromium found, which the dashboard's test needs" \
        "looked for /usr/bin/chromium, chromium-browser and google-chrome" \
        "install it (Debian: apt install chromium)"
fi
if ! find_node; then
    give_up "no Node.js of version $OLDEST or newer with npm found, which the dashboard's test needs" \
        "looked on PATH" \
        "install it (nodejs.org, or your system's packages if they are new enough)"
fi
# npm leaves this file behind once all is in place.
installed="$TESTS/node_modules/.package-lock.json"
if [ ! -e "$installed" ] || [ "$TESTS/package-lock.json" -nt "$installed" ]; then
    say "getting the packages of tests/browser"
    quietly npm-browser npm ci --prefix "$TESTS" --no-audit --no-fund ||
        give_up "npm ci in tests/browser failed" "try again once the registry that npm is set up with can be reached"
fi
