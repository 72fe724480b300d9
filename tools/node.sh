# shellcheck shell=bash
# Sourced after say.sh by the steps whose tests run in Node.js.

OLDEST=20

find_node() {
    if ! have npm || ! have node; then return 1; fi
    [ "$(node --print 'process.versions.node.split(".")[0]')" -ge "$OLDEST" ]
}

# need_node WHAT: gives up unless there is one that WHAT can run in.
need_node() {
    if find_node; then return 0; fi
    give_up "no Node.js of version $OLDEST or newer with npm found, which $1 needs" \
        "looked on PATH" \
        "install it (nodejs.org, or your system's packages if they are new enough)"
}

# npm_packages FOLDER: what its package-lock.json lists.
npm_packages() {
    # npm leaves this file behind once all is in place.
    local folder="$ROOT/$1" installed="$ROOT/$1/node_modules/.package-lock.json"
    if [ -e "$installed" ] && ! [ "$folder/package-lock.json" -nt "$installed" ]; then return 0; fi
    say "getting the packages of $1"
    quietly "npm-${1//\//-}" npm ci --prefix "$folder" --no-audit --no-fund --ignore-scripts ||
        give_up "npm ci in $1 failed" "try again once the registry that npm is set up with can be reached"
}
