# Sourced by ../quickstart and ../check: what a fresh machine needs, brought only where it is missing.
# Plain POSIX sh, since nothing but git and python3 can be assumed. Wants $root, the checkout.

# Debian packages, each behind a command that tells whether it is there.
# The tests run real servers and load tools through the tunnel.
test_tools='
    make:make
    ssh:openssh-client
    sshd:openssh-server
    nginx:nginx-light
    wrk:wrk
    iperf3:iperf3
    tinyproxy:tinyproxy-bin
    microsocks:microsocks
    nc:netcat-openbsd
    curl:curl
    chromium-headless-shell:chromium-headless-shell
    ip:iproute2
    ps:procps
    dig:bind9-dnsutils
    dnsmasq:dnsmasq-base
    nft:nftables
'
# What builds and judges the packages, besides Build-Depends of debian/control.
package_tools='
    dpkg-checkbuilddeps:dpkg-dev
    git:git
    lintian:lintian
    systemd-analyze:systemd
'
venv=$root/.venv
setup_log=$root/build/setup.log

say() { printf '==> %s\n' "$*"; }

fail() {
    printf '\n%s: %s\n' "${0##*/}" "$1" >&2
    shift
    for line in "$@"; do printf '    %s\n' "$line" >&2; done
    exit 1
}

# Runs a command quietly; what it said is shown when it failed.
logged() {
    mkdir -p "${setup_log%/*}"
    if "$@" >"$setup_log" 2>&1 </dev/null; then return 0; fi
    tail -n 15 "$setup_log" >&2
    return 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

lists_refreshed=

# Installs Debian packages without starting the daemons that come with some of them.
install_packages() {
    say "installing Debian packages: $*"
    command -v apt-get >/dev/null || fail "this is no Debian: apt-get is missing" \
        "Bring what these Debian packages hold, then run this again:" "$*"
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail "packages are missing, and you are neither root nor have sudo" \
            "Have an administrator run this, then run this again:" \
            "apt-get install --no-install-recommends $*"
        sudo -v || fail "sudo refused; packages are missing" \
            "Have an administrator run this, then run this again:" \
            "apt-get install --no-install-recommends $*"
    fi
    policy=/usr/sbin/policy-rc.d
    made_policy=
    if [ ! -e $policy ]; then
        made_policy=1
        trap 'as_root rm -f $policy' EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM
        as_root sh -c "printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy"
    fi
    apt="as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=120"
    if [ -z "$lists_refreshed" ]; then
        lists_refreshed=1
        # shellcheck disable=SC2086 # a command and its options
        logged $apt update || say "the package lists could not be refreshed; trying with those at hand"
    fi
    # shellcheck disable=SC2086
    logged $apt install --no-install-recommends "$@" || fail "Debian packages could not be installed: $*" \
        "The lines above say why; the whole story is in $setup_log." \
        "Is there a network, and does /etc/apt name a mirror that answers?"
    if [ -n "$made_policy" ]; then
        as_root rm -f $policy
        trap - EXIT INT TERM
    fi
}

# Sets $missing to the packages of a list whose commands are not there.
find_missing() {
    missing=
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
    done
}

need_test_tools() {
    # shellcheck disable=SC2086 # lists of words
    find_missing $test_tools
    # shellcheck disable=SC2086
    [ -z "$missing" ] || install_packages $missing
}

# The names in Build-Depends of debian/control, one a line.
build_dependencies() {
    sed -n '/^Build-Depends:/,/^[^ ]/s/^ \([a-z0-9.+-]*\).*/\1/p' "$root/debian/control"
}

need_package_tools() {
    # shellcheck disable=SC2086
    find_missing $package_tools
    if ! dpkg-checkbuilddeps -I "$root/debian/control" 2>/dev/null; then
        missing="$missing $(build_dependencies | tr '\n' ' ')"
    fi
    # The wheel is tried in an environment of the system's Python.
    can_make_venv /usr/bin/python3 || missing="$missing python3-venv"
    # shellcheck disable=SC2086
    [ -z "$missing" ] || install_packages $missing
}

can_make_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

# Interpreters to try, best first.
candidates='python3 /usr/bin/python3'

# Sets $python to one that is new enough and can make a virtual environment.
find_python() {
    python=
    for candidate in $candidates; do
        command -v "$candidate" >/dev/null || continue
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || continue
        [ -n "$python" ] || python=$candidate
        if can_make_venv "$candidate"; then
            python=$candidate
            return
        fi
    done
    [ -n "$python" ] || fail "Python 3.11 or newer is needed; found $(python3 -V 2>&1 || true)" \
        "Debian 12 has it: apt-get install python3"
    install_packages python3-venv
    can_make_venv "$python" || python=/usr/bin/python3
    can_make_venv "$python" || fail "$python cannot make virtual environments (no ensurepip)" \
        "On Debian that is in the package python3-venv; or make $venv yourself, with pip in it."
}

# Makes .venv with frpd and the libraries of requirements/, to the byte; does nothing if that was done before.
# Wants "accel" (what it takes to run) or "accel,dev" (to test).
need_venv() {
    extras=$1
    case ,$extras, in
        *,dev,*) libraries=$root/requirements/dev.txt ;;
        *) libraries=$root/requirements/runtime.txt ;;
    esac
    build_tools=$root/requirements/build.txt
    stamp=$venv/.frpd-setup-$extras
    wanted="$root $(cat "$root/pyproject.toml" "$root"/requirements/*.txt | cksum)"
    # What was installed with more extras will do for fewer.
    for made in "$stamp"*; do
        if [ "$(cat "$made" 2>/dev/null)" = "$wanted" ] && "$venv/bin/python" -c 'import frpd' 2>/dev/null; then
            say "Python environment: $venv, as before"
            return
        fi
    done
    if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        find_python
        say "Python environment: making $venv with $("$python" -V)"
        logged "$python" -m venv --clear "$venv" || fail "the virtual environment could not be made" \
            "The lines above say why. By hand: $python -m venv --clear '$venv'"
    fi
    say "Python environment: installing frpd with its libraries [$extras] (a minute or so the first time)"
    logged "$venv/bin/python" -m pip install --disable-pip-version-check --require-hashes \
        -r "$libraries" -r "$build_tools" \
        || fail "pip could not install frpd's libraries into $venv" \
            "The lines above say why; the whole story is in $setup_log." \
            "Is there a network? Behind a proxy set https_proxy; with a mirror of your own set PIP_INDEX_URL."
    # With nothing from outside: the build tools are there, to the byte. A plain path in place of
    # an import hook: that takes 15 ms of every start.
    logged "$venv/bin/python" -m pip install --disable-pip-version-check --no-index --no-deps \
        --no-build-isolation --config-settings editable_mode=compat -e "$root" \
        || fail "frpd itself could not be installed into $venv" \
            "The lines above say why; the whole story is in $setup_log."
    printf '%s\n' "$wanted" >"$stamp"
}
