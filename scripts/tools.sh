# Sourced by test.sh and browser.sh: the libraries of others that tests hold the relay against, in
# Python and JavaScript. They go into the build directory and stay there; what is there already is
# kept. The programs that the examples in the docs are typed for, which a test runs. And the browser
# that tests/browser drives, with its libraries.
# shellcheck shell=bash

need_programs() {
    if ! command -v curl >/dev/null 2>&1 || ! command -v openssl >/dev/null 2>&1; then
        install_packages "curl and openssl" "curl openssl" curl openssl
    fi
}

need_tools() {
    local tools=${CARGO_TARGET_DIR:-target}/test-tools
    mkdir -p "$tools"
    tools=$(cd "$tools" && pwd)
    if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
        echo "node and npm are missing: install Node 20 or later, then run this again" >&2
        exit 1
    fi
    if ! python3 -c 'import venv, ensurepip' >/dev/null 2>&1; then
        install_packages "Python 3 with venv" "python3" python3 python3-venv
    fi
    if ! cmp -s tests/tools/requirements.txt "$tools/requirements.txt"; then
        echo "installing the tests' Python libraries ..."
        rm -rf "$tools/python"
        python3 -m venv "$tools/python"
        "$tools/python/bin/python" -m pip install --quiet --disable-pip-version-check \
            -r tests/tools/requirements.txt
        cp tests/tools/requirements.txt "$tools/requirements.txt"
    fi
    if ! cmp -s tests/tools/package-lock.json "$tools/package-lock.json"; then
        echo "installing the tests' JavaScript libraries ..."
        cp tests/tools/package.json "$tools/"
        # The lock goes last: it says that all is there.
        cp tests/tools/package-lock.json "$tools/package-lock.json.new"
        (
            cd "$tools"
            rm -f package-lock.json
            mv package-lock.json.new package-lock.json
            npm ci --silent --no-audit --no-fund || { rm -f package-lock.json; exit 1; }
        )
    fi
    cp tests/tools/verify.mjs "$tools/"
    export POSTHASTE_TEST_TOOLS=$tools
}

find_browser() {
    local name
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        if command -v "$name"; then return; fi
    done
}

need_browser() {
    POSTHASTE_TEST_CHROMIUM=$(find_browser)
    if [ -z "$POSTHASTE_TEST_CHROMIUM" ]; then
        install_packages "Chromium" "chromium" chromium
        POSTHASTE_TEST_CHROMIUM=$(find_browser)
    fi
    if [ -z "$POSTHASTE_TEST_CHROMIUM" ]; then
        echo "Chromium is still missing after its installation" >&2
        exit 1
    fi
    export POSTHASTE_TEST_CHROMIUM
    install_browser_tests
}

# Their libraries, as package-lock.json names them; never a browser of their own.
install_browser_tests() {
    local directory=tests/browser
    if cmp -s "$directory/package-lock.json" "$directory/node_modules/.installed"; then return; fi
    echo "installing the browser tests' libraries ..."
    (cd "$directory" && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --silent --no-audit --no-fund)
    # The copy goes last: it says that all is there.
    cp "$directory/package-lock.json" "$directory/node_modules/.installed"
}

# The binary that is tested, and arguments to playwright. INT is what Playwright ends everything at
# that it has started; the browsers are in process groups of their own.
run_browser_tests() {
    POSTHASTE_TEST_BINARY=$(cd "$(dirname "$1")" && pwd)/${1##*/}
    export POSTHASTE_TEST_BINARY
    shift
    set -m
    (cd tests/browser && exec node_modules/.bin/playwright test "$@") </dev/null &
    browser_tests=$!
    set +m
    trap 'stop_browser_tests; exit 130' INT
    trap 'stop_browser_tests; exit 143' TERM
    wait "$browser_tests"
}

stop_browser_tests() {
    kill -INT -- "-$browser_tests" 2>/dev/null || true
    wait "$browser_tests" 2>/dev/null || true
}

# What is missing, its name elsewhere, and its packages on Debian.
install_packages() {
    local what=$1 elsewhere=$2 sudo=
    shift 2
    if [ "$(id -u)" -ne 0 ]; then sudo=sudo; fi
    if command -v apt-get >/dev/null 2>&1 && { [ -z "$sudo" ] || command -v sudo >/dev/null; }; then
        echo "installing $what ..."
        $sudo apt-get update -q || true
        if $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
            "$@" </dev/null; then
            return
        fi
    fi
    echo "$what: missing. Install by apt-get install $* (Debian, Ubuntu)," >&2
    echo "dnf install $elsewhere (Fedora) or brew install $elsewhere (macOS), then run this again" >&2
    exit 1
}
