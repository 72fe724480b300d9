#!/usr/bin/env bash
# Makes sure that the dashboard's test has a Chromium and a Node.js that can drive it, and its packages.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/say.sh"
source "$here/debian.sh"
source "$here/node.sh"

# Where packagers put it; the test looks there too.
find_chromium() {
    local program
    for program in chromium chromium-browser google-chrome; do
        if [ -x "/usr/bin/$program" ]; then return 0; fi
    done
    return 1
}

if ! find_chromium && ! { install_packages chromium && find_chromium; }; then
    give_up "no Chromium found, which the dashboard's test needs" \
        "looked for /usr/bin/chromium, chromium-browser and google-chrome" \
        "install it (Debian: apt install chromium)"
fi
need_node "the dashboard's test"
npm_packages tests/browser
