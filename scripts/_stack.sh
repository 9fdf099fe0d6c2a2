# Sourced by scripts/start-stack, stop-stack and health-check, from anywhere. POSIX sh; needs Docker with
# Compose and nothing else.
#
# Before: root, the top of the repository, and env_file, which options may change.

# Ends with the status $1 and what went wrong.
die() {
    status=$1
    shift
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit "$status"
}

# Prints the comment at the top of the script: its help.
help() {
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
}

require_docker() {
    command -v docker >/dev/null || die 3 "Docker is not installed: https://docs.docker.com/engine/install"
    version=$(docker compose version --short 2>/dev/null) ||
        die 3 "Docker Compose is not installed: https://docs.docker.com/compose/install"
    case ${version#v} in
    1.* | 2.[0-9].* | 2.1[0-9].*) die 3 "Docker Compose is $version, and 2.20 or newer is needed" ;;
    esac
    docker info >/dev/null 2>&1 ||
        die 3 "Docker does not answer: is its service running, and may $(id -un) use it? See docker info"
}

compose() {
    docker compose --project-directory "$root" --file "$root/compose.yaml" --env-file "$env_file" "$@"
}

# Secrets that .env must have, as Compose asks for them.
required() {
    sed -n 's/.*\${\([A-Z_]*\):?.*/\1/p' "$root/compose/docker-compose.yml" | sort -u
}

# From now on Compose does not ask for them: for what makes no container, whatever .env lacks.
without_secrets() {
    for name in $(required); do
        export "$name=placeholder"
    done
}

# Prints a line for each container: its service, state, health or -, exit code, and how often it was restarted.
states() {
    containers=$(compose ps --all --quiet) || return
    [ -z "$containers" ] && return
    # shellcheck disable=SC2086 # ids are words
    docker inspect --format '{{index .Config.Labels "com.docker.compose.service"}} {{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}-{{end}} {{.State.ExitCode}} {{.RestartCount}}' $containers | sort
}

# Reads what `states` prints; prints the lines of those that are not as they should be.
not_well() {
    while read -r service state health code restarts; do
        case $state/$health/$code in
        running/healthy/* | running/-/* | exited/*/0) ;;
        *) printf '%s %s %s %s %s\n' "$service" "$state" "$health" "$code" "$restarts" ;;
        esac
    done
}
