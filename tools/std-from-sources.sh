# shellcheck shell=bash
# Sourced: builds a target's standard library from the sources of the very compiler that will use it, for
# machines where rustup cannot download it.

# Puts the rlibs of TARGET into FOLDER/lib.
# build_std FOLDER TARGET
build_std() {
    local out=$1 target=$2 scratch result=0
    scratch=$(scratch_folder)
    build_std_in "$scratch" "$out" "$target" || result=1
    rm -rf "$scratch"
    return "$result"
}

build_std_in() {
    local scratch=$1 out=$2 target=$3 library
    library=$(find_library "$scratch") || return 1
    # Cargo looks for the library's sources below the sysroot. A sysroot of links, with the sources beside the
    # compiler's own files, keeps the installed toolchain clean.
    local sysroot real
    sysroot="$scratch/sysroot"
    real=$(rustc --print sysroot)
    mkdir -p "$sysroot/lib/rustlib/src/rust" "$scratch/crate/src"
    ln -s "$real/lib/rustlib/$(host_triple)" "$sysroot/lib/rustlib/"
    ln -s "$library" "$sysroot/lib/rustlib/src/rust/library"
    printf '#!/bin/sh\nexec rustc --sysroot "%s" "$@"\n' "$sysroot" >"$scratch/rustc"
    chmod +x "$scratch/rustc"
    printf '[package]\nname = "nothing"\nedition = "2024"\n[workspace]\n' >"$scratch/crate/Cargo.toml"
    : >"$scratch/crate/src/lib.rs"

    say "building the standard library for $target; this takes about half a minute"
    quietly build-std compile_std "$scratch" "$target" "$library" || return 1

    mkdir -p "$out/lib"
    cp "$scratch/target/$target/release/deps"/lib*.rlib "$out/lib/"
    rm -f "$out/lib"/libnothing-*.rlib
}

# No network: the sources bring their dependencies along. Bitcode is embedded because the filter is linked with fat LTO; paths are made those of the official builds, so
# that what a panic names does not depend on the machine.
compile_std() (
    local scratch=$1 target=$2 library=$3 official
    official="/rustc/$(rustc_field commit-hash)/library"
    cd "$scratch/crate" || return 1
    env -u CARGO_ENCODED_RUSTFLAGS -u CARGO_BUILD_TARGET -u RUSTC_WORKSPACE_WRAPPER \
        RUSTC="$scratch/rustc" RUSTC_WRAPPER= RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$scratch/target" \
        CARGO_INCREMENTAL=0 \
        RUSTFLAGS="-Cembed-bitcode=yes --remap-path-prefix=$library=$official \
            --remap-path-prefix=$scratch/sysroot/lib/rustlib/src/rust/library=$official" \
        cargo build --release --offline --target "$target" -Zbuild-std=std,panic_abort,panic_unwind \
        --config 'source.crates-io.replace-with="vendored"' \
        --config "source.vendored.directory=\"$library/vendor\""
)

# The library's sources: the toolchain's own rust-src component with its dependencies, else Debian's rust-src.
find_library() {
    local scratch=$1 release installed suites
    release=$(rustc_field release)
    installed="$(rustc --print sysroot)/lib/rustlib/src/rust/library"
    if [ -f "$installed/Cargo.lock" ] && [ -d "$installed/vendor" ]; then
        echo "$installed"
        return 0
    fi
    if ! have apt-get || ! have dpkg-deb; then
        say "this is no Debian machine: cannot look for the sources of Rust $release there"
        return 1
    fi
    read -ra suites <<<"$(suites_with_rust)"
    unpack_from_suites "$scratch/apt" rust-src "$release" "${suites[@]}" || return 1
    echo "$scratch/apt/unpacked/usr/src/rustc-$release/library"
}

# Where a Rust as new as ours may be, the likeliest first. A suite that a mirror does not carry is passed over.
suites_with_rust() {
    local codename
    codename=$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}")
    printf '%s\n' "${codename:+$codename-backports}" trixie-backports forky sid experimental trixie |
        awk 'NF && !seen[$0]++' | paste -sd ' ' -
}

rustc_field() { rustc -vV | sed -n "s/^$1: //p"; }

host_triple() { rustc_field host; }
