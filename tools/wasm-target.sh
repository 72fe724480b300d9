#!/usr/bin/env bash
# Gives the compiler in use a standard library for wasm32-unknown-unknown, which is what the filter runs on.
# In this order: it has one; a copy built before, kept in .tools; rustup; Debian's sources of that compiler.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/say.sh"
source "$here/debian.sh"
source "$here/std-from-sources.sh"

TARGET=wasm32-unknown-unknown
# A toolchain file in the project's folder, or RUSTUP_TOOLCHAIN, decides which compiler is meant.
cd "$ROOT"
export RUST_BACKTRACE=0
COMPILER=$(rustc -V)
INSTALLED="$(rustc --print sysroot)/lib/rustlib/$TARGET"
KEPT="$TOOLS/std-$TARGET-$(rustc_field release)"

# A library that was built here names its compiler in this file; rustup's own has no such file.
built_for() { [ -f "$1/built-for" ] && [ "$(cat "$1/built-for")" = "$COMPILER" ]; }

is_installed() {
    compgen -G "$INSTALLED/lib/libstd-*.rlib" >/dev/null || return 1
    [ ! -f "$INSTALLED/built-for" ] || built_for "$INSTALLED"
}

install_kept() {
    local next="$INSTALLED.next"
    rm -rf "$next"
    cp -R "$KEPT" "$next" && rm -rf "$INSTALLED" && mv "$next" "$INSTALLED"
}

# One try that gives up early: rustup's own patience is for people who watch it.
add_with_rustup() {
    have rustup || return 1
    local limit=()
    if have timeout; then limit=(timeout 240); fi
    say "adding $TARGET with rustup"
    RUSTUP_MAX_RETRIES=0 RUSTUP_DOWNLOAD_TIMEOUT=20 \
        quietly rustup ${limit[@]+"${limit[@]}"} rustup target add "$TARGET" || return 1
    is_installed || {
        say "rustup reports success, but $INSTALLED has no standard library"
        return 1
    }
}

# Links as the filter is linked, so that a library which only looks complete is found out here.
check_link() {
    local scratch result=0
    scratch=$(scratch_folder)
    echo '#[unsafe(no_mangle)] pub extern "C" fn f(n: usize) -> usize { vec![n; n].len() }' >"$scratch/f.rs"
    quietly link-check rustc --edition 2024 --target "$TARGET" --crate-type cdylib -O -Clto=fat -Cpanic=abort \
        -o "$scratch/f.wasm" "$scratch/f.rs" || result=1
    rm -rf "$scratch"
    return "$result"
}

if is_installed; then exit 0; fi

# Built here for an older compiler of the same toolchain: of no use any more, and in rustup's way.
if [ -f "$INSTALLED/built-for" ]; then rm -rf "$INSTALLED"; fi

if ! built_for "$KEPT"; then
    if add_with_rustup; then
        check_link || give_up "rustup's $TARGET does not link" "reinstall it: rustup target remove $TARGET"
        say "$COMPILER can build for $TARGET"
        exit 0
    fi
    rm -rf "$KEPT" "$KEPT.next"
    build_std "$KEPT.next" "$TARGET" || give_up "$COMPILER has no $TARGET and none could be made" \
        "with internet access: rustup target add $TARGET" \
        "without: rust-src of exactly version $(rustc_field release) must be in one of these Debian suites:" \
        "$(suites_with_rust)"
    echo "$COMPILER" >"$KEPT.next/built-for"
    mv "$KEPT.next" "$KEPT"
fi

say "installing $TARGET from ${KEPT#"$ROOT"/}"
install_kept || give_up "cannot write to $(dirname "$INSTALLED")" \
    "use a toolchain of your own (rustup), or have $TARGET installed by who owns this one" \
    "(Debian's own rustc: package libstd-rust-dev-wasm32)"
check_link || give_up "the library built for $TARGET does not link" "remove ${KEPT#"$ROOT"/} and try again"
say "$COMPILER can build for $TARGET"
