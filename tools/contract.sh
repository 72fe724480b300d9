#!/usr/bin/env bash
# Puts what checks the HTTP API's contract in its place: schemathesis (Python) at .tools/schemathesis for
# `make test`, and the OpenAPI linter (Node.js) in tests/contract.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/say.sh"
source "$here/debian.sh"
source "$here/pypi.sh"
source "$here/node.sh"

CONTRACT="$ROOT/tests/contract"
WANTED="$CONTRACT/requirements.txt"
HOME_OF_IT="$TOOLS/schemathesis"

# What is there counts only if it is of these versions and of this machine's Python.
is_there() {
    cmp -s "$WANTED" "$HOME_OF_IT/requirements.txt" &&
        PYTHONPATH="$HOME_OF_IT" python3 -m schemathesis.cli --version >/dev/null 2>&1
}

get_schemathesis() {
    local scratch result=0
    find_pip || give_up "no pip to install schemathesis with" \
        "looked for python3 -m pip, pip3, uv and python3 -m venv"
    say "getting schemathesis from PyPI"
    scratch=$(scratch_folder)
    quietly schemathesis "${PIP[@]}" install --no-deps --only-binary :all: \
        --target "$scratch/it" --requirement "$WANTED" || result=1
    if [ "$result" = 0 ]; then
        cp "$WANTED" "$scratch/it/requirements.txt"
        rm -rf "$HOME_OF_IT"
        mv "$scratch/it" "$HOME_OF_IT"
    fi
    rm -rf "$scratch"
    return "$result"
}

have python3 || install_packages python3 || give_up "no python3 found, which the contract's tests need" \
    "install it (Debian: apt install python3)"
if ! is_there; then
    get_schemathesis || give_up "schemathesis cannot be had from PyPI for this machine ($(uname -sm))" \
        "it needs Python 3.10 or newer; try again once the registry that pip is set up with can be reached"
    is_there || give_up ".tools/schemathesis does not run on this machine" \
        "$(PYTHONPATH="$HOME_OF_IT" python3 -m schemathesis.cli --version 2>&1 | tail -n 1)"
fi

need_node "the OpenAPI linter"
npm_packages tests/contract
