# Sourced by test.sh: finds, installs, starts and stops Postgres and Redis.
# shellcheck shell=bash

backends_dir=
postgres_pid=
redis_pid=

# Debian keeps the servers out of PATH, one directory per version; the highest is taken.
find_postgres() {
    local directory
    directory=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t/ -k5 -V | tail -n 1)
    if [ -n "$directory" ] && [ -x "$directory/initdb" ]; then
        echo "$directory"
    elif command -v initdb >/dev/null 2>&1 && command -v postgres >/dev/null 2>&1; then
        dirname "$(readlink -f "$(command -v initdb)")"
    fi
}

find_redis() {
    command -v redis-server || true
}

need_backends() {
    pg_bin=$(find_postgres)
    redis_server=$(find_redis)
    if [ -z "$pg_bin" ] || [ -z "$redis_server" ]; then
        install_backends
        pg_bin=$(find_postgres)
        redis_server=$(find_redis)
    fi
    if [ -z "$pg_bin" ] || [ -z "$redis_server" ]; then
        echo "Postgres and Redis are still missing after their installation" >&2
        exit 1
    fi
    export POSTHASTE_TEST_PG_BIN=$pg_bin POSTHASTE_TEST_REDIS_SERVER=$redis_server
}

install_backends() {
    local sudo=
    if [ "$(id -u)" -ne 0 ]; then sudo=sudo; fi
    if ! command -v apt-get >/dev/null 2>&1 || { [ -n "$sudo" ] && ! command -v sudo >/dev/null; }; then
        echo "the tests need the servers of Postgres (initdb, postgres, pg_ctl) and Redis" >&2
        echo "(redis-server) in PATH. Install them, then run this again:" >&2
        echo "  Debian, Ubuntu (as root)  apt-get install postgresql redis-server" >&2
        echo "  Fedora                    dnf install postgresql-server redis" >&2
        echo "  macOS                     brew install postgresql@17 redis, and" >&2
        echo "                            PATH=\$(brew --prefix postgresql@17)/bin:\$PATH"  >&2
        exit 1
    fi
    echo "installing postgresql and redis-server ..."
    # Only the programs are wanted, no cluster of the system's own; later installations by
    # somebody else are none of our business, so the file goes again.
    local no_cluster=/etc/postgresql-common/createcluster.d/posthaste-tests.conf
    $sudo mkdir -p "${no_cluster%/*}"
    echo "create_main_cluster = false" | $sudo tee "$no_cluster" >/dev/null
    $sudo apt-get update -q || true
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        postgresql redis-server </dev/null || {
        $sudo rm -f "$no_cluster"
        echo "the installation failed; its messages are above" >&2
        exit 1
    }
    $sudo rm -f "$no_cluster"
}

free_port() {
    local port
    for _ in $(seq 100); do
        port=$((20000 + RANDOM % 12000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
    echo "no free port was found" >&2
    return 1
}

start_backends() {
    if [ -n "${TEST_DATABASE_URL:-}" ] && [ -n "${TEST_REDIS_URL:-}" ]; then return; fi
    backends_dir=$(mktemp -d "${TMPDIR:-/tmp}/posthaste-test.XXXXXX")
    chmod 755 "$backends_dir"
    if [ -z "${TEST_DATABASE_URL:-}" ]; then start_postgres; fi
    if [ -z "${TEST_REDIS_URL:-}" ]; then start_redis; fi
}

# Postgres refuses to run as root, so root runs it as somebody else.
as_owner() {
    if [ "$(id -u)" -ne 0 ]; then
        "$@"
    else
        setpriv --reuid="$owner" --regid="$(id -g "$owner")" --clear-groups -- "$@"
    fi
}

start_postgres() {
    owner=$(id -un)
    if [ "$(id -u)" -eq 0 ]; then
        owner=nobody
        if id postgres >/dev/null 2>&1; then owner=postgres; fi
    fi
    local data=$backends_dir/postgres log=$backends_dir/postgres.log port
    mkdir "$data"
    touch "$log"
    if [ "$(id -u)" -eq 0 ]; then chown "$owner" "$data"; fi
    # From a directory that the owner may enter.
    (cd "$backends_dir" && as_owner "$pg_bin/initdb" -D "$data" -U postgres --auth=trust \
        --encoding=UTF8 --locale=C --no-sync) >"$log" 2>&1 || give_up "$log" "initdb failed"
    for _ in 1 2 3 4 5; do
        port=$(free_port)
        (cd "$backends_dir" && as_owner_exec "$pg_bin/postgres" -D "$data" -p "$port" \
            -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200) \
            >>"$log" 2>&1 </dev/null &
        postgres_pid=$!
        if wait_for "$postgres_pid" "$pg_bin/pg_isready" -q -h 127.0.0.1 -p "$port"; then
            export TEST_DATABASE_URL="postgres://postgres@127.0.0.1:$port/postgres"
            return
        fi
    done
    give_up "$log" "Postgres did not start"
}

# Replaces the subshell, so that the background job's id is the server's own.
as_owner_exec() {
    if [ "$(id -u)" -ne 0 ]; then
        exec "$@"
    else
        exec setpriv --reuid="$owner" --regid="$(id -g "$owner")" --clear-groups -- "$@"
    fi
}

start_redis() {
    local directory=$backends_dir/redis log=$backends_dir/redis.log port
    mkdir "$directory"
    for _ in 1 2 3 4 5; do
        port=$(free_port)
        "$redis_server" --bind 127.0.0.1 --port "$port" --save "" --appendonly no \
            --dir "$directory" >>"$log" 2>&1 </dev/null &
        redis_pid=$!
        if wait_for "$redis_pid" redis_answers "$port"; then
            export TEST_REDIS_URL="redis://127.0.0.1:$port/"
            return
        fi
    done
    give_up "$log" "Redis did not start"
}

redis_answers() {
    local answer
    (
        exec 3<>"/dev/tcp/127.0.0.1/$1"
        printf 'PING\r\n' >&3
        IFS= read -r -t 2 answer <&3
        [ "${answer%$'\r'}" = +PONG ]
    ) 2>/dev/null
}

# wait_for PID COMMAND...: until the command succeeds, 30 s at most; 1 if the process ended.
wait_for() {
    local pid=$1
    shift
    for _ in $(seq 300); do
        if ! kill -0 "$pid" 2>/dev/null; then return 1; fi
        if "$@"; then return 0; fi
        sleep 0.1
    done
    return 1
}

give_up() {
    cat "$1" >&2
    echo "$2; the log is above" >&2
    exit 1
}

stop_backends() {
    # INT is Postgres's fast shutdown: it does not wait for clients.
    if [ -n "$postgres_pid" ]; then kill -INT "$postgres_pid" 2>/dev/null || true; fi
    if [ -n "$redis_pid" ]; then kill -TERM "$redis_pid" 2>/dev/null || true; fi
    local pid
    for pid in $postgres_pid $redis_pid; do
        wait "$pid" 2>/dev/null || true
    done
    if [ -n "$backends_dir" ]; then rm -rf "$backends_dir"; fi
}
