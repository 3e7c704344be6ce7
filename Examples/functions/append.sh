#!/usr/bin/env bash
# Appends orders to Onewrite's log through its Redis functions: append.sh PREFIX COUNT. REDIS_CLI has redis-cli's options.
set -u
read -ra redis <<< "redis-cli ${REDIS_CLI:-}"

append() { # append SHOP FIELD VALUE...: appends a change once, and prints the outcome and more, as README.md has it
    local deadline=$((SECONDS + 30)) shop=$1 place said
    shift
    while :; do
        # Without an answer it may be in the log or not: the same again tells.
        mapfile -t place < <("${redis[@]}" FCALL_RO onewrite_partition 1 onewrite:meta "$shop" 2> /dev/null)
        if [ ${#place[@]} -eq 7 ]; then
            mapfile -t said < <("${redis[@]}" FCALL onewrite_append 4 "${place[@]:3}" "${place[1]}" "${place[2]}" "" "$@" \
                2> /dev/null)
            case ${said[0]-} in
                accepted | duplicate | conflict | rejected | mismatch | ERR*) echo "${said[@]}"; return ;;
            esac
        fi
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.1
    done
}

for ((number = 0; number < $2; number++)); do
    append "shop-$((number % 5))" type order.placed id "$1-$number" shop "shop-$((number % 5))" customer Zoë \
        lines "TEA:$((number % 9 + 1)) MUG:1" || exit 1
done
