# Sourced by scripts/test, scripts/mutation and scripts/demo, from the top of the repository. POSIX sh; needs
# a Python with venv and nothing else.
#
#   bootstrap requirements/dev.txt .venv
#
# leaves an environment with the pinned and hashed packages of that file, and wagateway itself as it
# stands in src/. When nothing changed since the last time, it does nothing.

unset PYTHONHOME PYTHONPATH
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Whether $1 can make environments and is of a tested version. A PYTHON that was named may be newer.
fits() {
    "$1" -c "import sys, venv, ensurepip
sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, ${2:-14}))" >/dev/null 2>&1
}

# Prints the Python to use: $PYTHON where it is set, else the first that fits.
find_python() {
    if [ -n "${PYTHON:-}" ]; then
        fits "$PYTHON" 99 || fail "PYTHON=$PYTHON is no Python 3.11 or newer with the module venv"
        printf '%s\n' "$PYTHON"
        return
    fi
    for name in python3 python3.14 python3.13 python3.12 python3.11 python; do
        if fits "$name"; then
            printf '%s\n' "$name"
            return
        fi
    done
    fail "found no Python 3.11, 3.12, 3.13 or 3.14 with the module venv.
  Debian, Ubuntu:  apt-get install python3 python3-venv
  Fedora:          dnf install python3
  macOS:           brew install python@3.13
One that is not on the PATH can be named: PYTHON=/path/to/python3.13 $0"
}

# Whether the environment $1 works, was made at this place, and runs the Python that was asked for.
# Its scripts name the place, so a moved or copied one is made anew.
venv_fits() {
    "$1/bin/python" -c 'import pip' >/dev/null 2>&1 || return 1
    [ ! -f "$1/made-at" ] || [ "$(cat "$1/made-at")" = "$PWD" ] || return 1
    [ -z "${PYTHON:-}" ] || [ "$("$1/bin/python" -V)" = "$("$PYTHON" -V 2>&1)" ]
}

# Installs into the environment $1 with the remaining arguments of pip, quietly; on a terminal it
# counts the packages. What pip said is shown when it fails.
pip_install() {
    venv=$1
    shift
    log=$venv/install.log
    "$venv/bin/python" -m pip install --progress-bar off "$@" >"$log" 2>&1 </dev/null &
    pip=$!
    # A background process of sh ignores Ctrl-C: it is passed on.
    trap 'kill "$pip" 2>/dev/null; printf "\n"; exit 130' INT TERM HUP
    if [ -t 1 ]; then
        while kill -0 "$pip" 2>/dev/null; do
            printf '\r  %s packages' "$(grep -c -E '^(Collecting|Requirement already)' "$log")"
            sleep 0.3
        done
        printf '\r\033[K'
    fi
    if ! wait "$pip"; then
        tail -n 25 "$log" >&2
        fail "installing failed, as shown above; the whole story is in $PWD/$log.
Packages come from PyPI: is there a connection? Behind a proxy or a mirror, set HTTPS_PROXY or
PIP_INDEX_URL, and run this again."
    fi
    trap - INT TERM HUP
}

bootstrap() {
    stamp=$(cat "$1" pyproject.toml | cksum)
    if venv_fits "$2" && [ "$(cat "$2/installed" 2>/dev/null)" = "$stamp" ]; then
        return
    fi
    started=$(date +%s)
    if ! venv_fits "$2"; then
        python=$(find_python) || exit 1
        rm -rf "$2"
        "$python" -m venv "$2" || fail "$python could not make the environment $PWD/$2"
        printf '%s\n' "$PWD" >"$2/made-at"
    fi
    printf 'Installing what %s pins into %s (%s), once ...\n' "$1" "$2" "$("$2/bin/python" -V)"
    rm -f "$2/installed"
    # The file names everything, so pip need not resolve: with hashes, some versions of pip stumble
    # over a pinned package that another one asks for with an extra, once a newer one is out.
    pip_install "$2" --require-hashes --no-deps --only-binary :all: -r "$1"
    pip_install "$2" --no-deps --no-build-isolation --no-index -e .
    printf '%s\n' "$stamp" >"$2/installed"
    printf 'Installed in %s s.\n' $(($(date +%s) - started))
}

# Leaves in the folder $2, inside of the environment $3, what the file $1 pins with hashes: for what
# cannot be in one environment with anything else. When nothing changed, it does nothing.
bootstrap_apart() {
    stamp=$(cksum <"$1")
    if [ "$(cat "$2/installed" 2>/dev/null)" = "$stamp" ]; then
        return
    fi
    printf 'Installing what %s pins into %s, once ...\n' "$1" "$2"
    rm -rf "$2"
    pip_install "$3" --target "$2" --require-hashes --no-deps --only-binary :all: -r "$1"
    printf '%s\n' "$stamp" >"$2/installed"
}
