#!/usr/bin/env bash
# Makes sure that the programs of a Postgres server are on this machine. No server is started or set up:
# the service and the tests each run one of their own.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/say.sh"
source "$here/debian.sh"

OLDEST=15

# A folder has what is needed: a server and the program that makes its data folder.
is_server_folder() {
    local major
    [ -x "$1/postgres" ] && [ -x "$1/initdb" ] || return 1
    major=$("$1/postgres" --version | sed -n 's/^postgres (PostgreSQL) \([0-9]*\).*/\1/p')
    [ "${major:-0}" -ge "$OLDEST" ]
}

# Where packagers put them: Debian, Red Hat, Alpine, Homebrew on both kinds of Mac; then PATH.
find_server() {
    local folder on_path
    IFS=: read -ra on_path <<<"$PATH"
    for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/libexec/postgresql*/bin \
        {/opt/homebrew,/usr/local}/opt/postgresql@*/bin "${on_path[@]}"; do
        if is_server_folder "$folder"; then return 0; fi
    done
    return 1
}

# Debian's package would also set up and start a server of its own on the usual port, which nobody asked for.
install_without_cluster() {
    local config=/etc/postgresql-common/createcluster.conf package result=0
    install_packages postgresql-common || return 1
    package=$(LC_ALL=C apt-cache depends postgresql | sed -n 's/^ *Depends: \(postgresql-[0-9]*\)$/\1/p')
    if [ "${package#postgresql-}" -lt "$OLDEST" ]; then
        say "this machine's apt sources have only $package"
        return 1
    fi
    cp -p "$config" "$config.kept"
    echo 'create_main_cluster = false' >>"$config"
    install_packages "$package" || result=1
    mv "$config.kept" "$config"
    return "$result"
}

if find_server; then exit 0; fi
if install_without_cluster && find_server; then exit 0; fi
give_up "no PostgreSQL server of version $OLDEST or newer found" \
    "looked for postgres and initdb in /usr/lib/postgresql/*/bin, where other packagers put them, and on PATH" \
    "install it (Debian: apt install postgresql), or put its bin folder on PATH"
