#!/usr/bin/env bash
# Makes sure that the JavaScript client can be built and tested: a Node.js, and its packages.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/say.sh"
source "$here/node.sh"

need_node "the JavaScript client"
npm_packages client
