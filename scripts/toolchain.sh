# Sourced by the other scripts: says what is missing to build, and how to get it.
# shellcheck shell=bash

need_toolchain() {
    if ! command -v cargo >/dev/null 2>&1 && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
        PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    fi
    if ! command -v cargo >/dev/null 2>&1; then
        echo "cargo is missing: install Rust (https://rustup.rs), then run this again" >&2
        exit 1
    fi
    # SQLite, the TLS library and the allocator contain C code; the last is built by make.
    if ! command -v "${CC:-cc}" >/dev/null 2>&1 || ! command -v make >/dev/null 2>&1; then
        install_compiler
    fi
}

install_compiler() {
    local sudo=
    if [ "$(id -u)" -ne 0 ]; then sudo=sudo; fi
    if command -v apt-get >/dev/null 2>&1 && { [ -z "$sudo" ] || command -v sudo >/dev/null; }; then
        echo "installing a C compiler ..."
        $sudo apt-get update -q || true
        if $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
            gcc libc6-dev make </dev/null; then
            return
        fi
    fi
    echo "a C compiler or make is missing: apt-get install gcc libc6-dev make (Debian, Ubuntu)," >&2
    echo "dnf install gcc make (Fedora), xcode-select --install (macOS), then run this again" >&2
    exit 1
}
