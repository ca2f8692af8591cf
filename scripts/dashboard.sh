# Sourced by the other scripts: builds the dashboard, which becomes part of the binary. What is there
# already and up to date is kept.
# shellcheck shell=bash

# Whether Node is there, and new enough for vite.
has_node() {
    command -v npm >/dev/null 2>&1 && node -e '
        const [major, minor] = process.versions.node.split(".").map(Number);
        process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1);' 2>/dev/null
}

need_node() {
    if ! has_node; then
        echo "node 20.19 or later, with npm, is missing: install it, then run this again" >&2
        exit 1
    fi
}

# The libraries that package-lock.json names.
install_dashboard() {
    if cmp -s dashboard/package-lock.json dashboard/node_modules/.installed; then return; fi
    echo "installing the dashboard's libraries ..."
    (cd dashboard && npm ci --silent --no-audit --no-fund)
    # The copy goes last: it says that all is there.
    cp dashboard/package-lock.json dashboard/node_modules/.installed
}

build_dashboard() {
    install_dashboard
    local built=dashboard/node_modules/.built changed
    if [ -e "$built" ] && [ -e dashboard/dist/index.html ]; then
        # A folder is newer too, once a file in it is gone.
        changed=$(find dashboard/src dashboard/public dashboard/scripts dashboard/openapi.json dashboard/index.html \
            dashboard/package.json dashboard/node_modules/.installed dashboard/*.ts dashboard/tsconfig.json \
            -newer "$built" ! -name '*.gen.ts' ! -path dashboard/src/api -print -quit)
        if [ -z "$changed" ]; then return; fi
    fi
    echo "building the dashboard ..."
    touch "$built.new"
    (cd dashboard && npm run --silent build)
    # What changed while it was built is newer.
    mv "$built.new" "$built"
}

# For those who only want to run the relay: it works without.
build_dashboard_if_possible() {
    if has_node; then
        build_dashboard
    else
        echo "node 20.19 or later is missing: the relay is built without its dashboard" >&2
    fi
}
