# The main job on a system where the package was just installed; scripts/check-package runs it there.
set -euo pipefail

fail() { printf 'try: %s\n' "$*" >&2; exit 1; }
as() { local user=$1; shift; setpriv --reuid "$user" --regid "$user" --clear-groups "$@"; }

# The servers, as their packages set them up.
mkdir -p /run/redis && chown redis:redis /run/redis
as redis redis-server --dir /var/lib/redis --appendonly yes --repl-backlog-ttl 0 --daemonize yes --logfile /var/lib/redis/log > /dev/null
cluster=$(pg_lsclusters --no-header | awk '{ print $1, $2; exit }')
# shellcheck disable=SC2086
pg_ctlcluster $cluster start
as postgres createuser onewrite
as postgres createdb --owner=onewrite --encoding=UTF8 --locale=C --template=template0 onewrite

# What systemd would do: the unit's command, as its user, with the credentials where the unit says.
mkdir -p /run/credentials && cp /etc/onewrite/*-url /run/credentials && chown -R onewrite:onewrite /run/credentials
with_credentials=(setpriv --reuid onewrite --regid onewrite --clear-groups
    env REDIS_URL_FILE=/run/credentials/redis-url DATABASE_URL_FILE=/run/credentials/database-url)
onewrite() { "${with_credentials[@]}" "$@"; }
# Its number, in $!, is the program's own: signals go there.
start() { exec "${with_credentials[@]}" "$@" & }
command_of() { # command_of UNIT [INSTANCE]
    sed -nE "s/^ExecStart=//p" "/lib/systemd/system/$1" | sed -E "s/%i/${2:-}/g; s/ \\\$[A-Z_]+//"
}

/usr/bin/onewrite --version
# shellcheck disable=SC2046
onewrite $(command_of onewrite-init.service)
pids=()
for group in postgres stock delivery; do
    # shellcheck disable=SC2046
    start $(command_of onewrite-worker@.service "$group") 2> "/tmp/$group.log"
    pids+=($!)
done
# shellcheck disable=SC2046
start $(command_of onewrite-serve.service) 2> /tmp/serve.log
serve=$!

for i in $(seq 500); do
    printf '{"id":"ord-%d","shop":"shop-%d","customer":"c-1","lines":[{"sku":"TEA-250","quantity":2}]}\n' "$i" $((i % 5))
done | onewrite onewrite submit - --wait > /tmp/submitted
onewrite onewrite cancel ord-7 --shop shop-2 --wait > /dev/null
# shellcheck disable=SC2046
onewrite $(command_of onewrite-audit.service) | tee /tmp/audit
[ "$(redis-cli HGET '{onewrite:0}:head' epoch)" ] || fail "no head in Redis"
[ "$(as postgres psql -Atc 'SELECT count(*) FROM onewrite.ledger' onewrite)" = 501 ] || fail "the ledger has other than 501 changes"

ask() { # ask PATH: the status of an answer over HTTP
    exec 3<> /dev/tcp/127.0.0.1/8080
    printf 'GET %s HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: close\r\n\r\n' "$1" >&3
    sed -n '1s/\r//p' <&3
    exec 3>&-
}
timeout 60 bash -c 'until grep -q "serving http://" /tmp/serve.log; do sleep 0.1; done' || fail "serve doesn't: $(cat /tmp/serve.log)"
for path in /healthz /readyz /v1/status; do
    answer=$(ask "$path")
    echo "$path: $answer"
    [[ $answer == *" 200 "* ]] || fail "$path: $answer"
done

# As systemd stops a unit.
for pid in "${pids[@]}" "$serve"; do
    kill -TERM "$pid"
    wait "$pid" || fail "a unit's process ended with $? at SIGTERM: $(tail -n 3 /tmp/*.log)"
done
tail -qn 1 /tmp/{postgres,stock,delivery,serve}.log

for page in onewrite onewrite-worker onewrite-serve; do [ -n "$(man --where "$page")" ] || fail "no page $page"; done
bash -c 'source /usr/share/bash-completion/completions/onewrite && complete -p onewrite' > /dev/null || fail "no completion"
# shellcheck disable=SC2086
pg_ctlcluster $cluster stop
redis-cli shutdown nosave
