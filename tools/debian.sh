# shellcheck shell=bash
# Sourced: what Debian's packages can give. Knows no host: the archive is the one that the machine's
# own apt sources name.

# Installs packages into the system, where that is allowed: as root, on a machine with apt.
install_packages() {
    if [ "$(id -u)" != 0 ] || ! have apt-get; then return 1; fi
    say "installing Debian's $*"
    if all_known "$@" && quietly "install-$1" apt_install "$@"; then return 0; fi
    # No lists yet, or lists so old that the archive no longer has what they name.
    say "updating apt's lists"
    quietly apt-update apt-get -q update || return 1
    if ! all_known "$@"; then
        say "this machine's apt sources lack one of: $*"
        return 1
    fi
    quietly "install-$1" apt_install "$@"
}

apt_install() { DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$@"; }

all_known() {
    local package
    for package in "$@"; do
        [ -n "$(apt_candidate "$package")" ] || return 1
    done
}

# The version of a package that would be installed; nothing if apt does not know the package.
apt_candidate() {
    LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n '/(none)/d; s/^ *Candidate: //p'
}

# The machine's apt sources, one a line: URI, suite, key file or "-". Reads both kinds of source file.
apt_sources() {
    local etc=/etc/apt
    cat "$etc/sources.list" "$etc"/sources.list.d/*.list 2>/dev/null | awk '
        $1 == "deb" {
            key = "-"; i = 2
            if ($2 ~ /^\[/) {
                for (; i <= NF; i++) {
                    option = $i; gsub(/[][]/, "", option)
                    if (option ~ /^signed-by=\//) { key = substr(option, 11) }
                    if ($i ~ /\]$/) break
                }
                i++
            }
            print $i, $(i + 1), key
        }'
    cat "$etc"/sources.list.d/*.sources 2>/dev/null /dev/null | awk '
        function flush(    u, s, i, j) {
            u = split(uris, uri, " "); s = split(suites, suite, " ")
            if (types ~ /(^| )deb( |$)/ && enabled != "no")
                for (i = 1; i <= u; i++) for (j = 1; j <= s; j++) print uri[i], suite[j], key
            types = uris = suites = enabled = ""; key = "-"
        }
        BEGIN { key = "-" }
        /^#/ { next }
        /^[ \t]*$/ { flush(); next }
        {
            name = tolower($1); value = $0; sub(/^[^:]*:[ \t]*/, "", value)
            if (name == "types:") types = value
            else if (name == "uris:") uris = value
            else if (name == "suites:") suites = value
            else if (name == "enabled:") enabled = tolower(value)
            else if (name == "signed-by:" && value ~ /^\//) { split(value, k, " "); key = k[1] }
        }
        END { flush() }'
}

# The machine's own archive as "URI key": the source that carries the release it runs.
own_archive() {
    local codename
    codename=$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}")
    apt_sources | awk -v codename="$codename" '
        $2 == codename { print $1, $3; found = 1; exit }
        !other && $2 !~ /-security|-updates|-backports|\// { other = $1 " " $3 }
        END { if (!found && other) print other }'
}

# apt-get on one suite of that archive, with lists and cache of its own in FOLDER: the system's apt stays
# as it was, and root is not needed.
# apt_elsewhere FOLDER apt-get|apt-cache ARGUMENTS...
apt_elsewhere() {
    local folder=$1 program=$2
    shift 2
    "$program" -q \
        -o "Dir::Etc::SourceList=$folder/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o "Dir::State::Lists=$folder/lists" -o "Dir::Cache=$folder/cache" \
        -o "APT::Sandbox::User=$(id -un)" -o Acquire::Languages=none -o Acquire::Retries=0 \
        -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 "$@"
}

# Looks for VERSION of PACKAGE, whatever the packager's suffix, in SUITES, and unpacks it into FOLDER/unpacked.
# unpack_from_suites FOLDER PACKAGE VERSION SUITES...
unpack_from_suites() {
    local folder=$1 package=$2 version=$3
    shift 3
    local uri key suite full
    read -r uri key <<<"$(own_archive)" || true
    [ -n "$uri" ] || {
        say "no archive found in this machine's apt sources"
        return 1
    }
    mkdir -p "$folder"/{lists/partial,cache/archives/partial}
    for suite in "$@"; do
        say "looking for $package $version in Debian's $suite"
        if [ "$key" = - ]; then
            echo "deb $uri $suite main"
        else
            echo "deb [signed-by=$key] $uri $suite main"
        fi >"$folder/sources.list"
        if ! quietly "apt-$suite" apt_elsewhere "$folder" apt-get update --error-on=any; then
            # An archive that answers may lack one suite; one that does not answer lacks them all.
            if grep -q 'does not have a Release file' "$TOOLS/log/apt-$suite.log"; then continue; fi
            return 1
        fi
        full=$(apt_elsewhere "$folder" apt-cache madison "$package" |
            awk -v wanted="$version" '{ v = $3; sub(/[-+~].*/, "", v); if (v == wanted) { print $3; exit } }')
        if [ -z "$full" ]; then
            say "$suite has no $package $version"
            continue
        fi
        say "getting $package $full from $suite"
        (cd "$folder" && quietly "download-$package" apt_elsewhere "$folder" apt-get download "$package=$full") &&
            dpkg-deb -x "$folder/$package"_*.deb "$folder/unpacked" && return 0
    done
    return 1
}
