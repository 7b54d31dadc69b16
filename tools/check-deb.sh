#!/bin/sh
# Judges the package that tools/build-deb.sh built: lintian, and systemd on its units.
#
#   tools/check-deb.sh [FOLDER]      (default: build/deb)
#
# Fails on errors and warnings of lintian, on anything that systemd-analyze verify finds, and on a
# unit whose exposure is above 1.7.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd)
folder=$(readlink -f -- "${1:-$root/build/deb}")
limit=17
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH

lintian --allow-root --fail-on error,warning "$folder"/frpd_*.changes
echo "lintian: no errors, no warnings"

# The units see the package's own files, and so the programs that they start.
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
dpkg-deb -x "$folder"/frpd_*.deb "$unpacked"
units=$unpacked/lib/systemd/system
[ -d "$units" ] || units=$unpacked/usr/lib/systemd/system
[ "$(find "$units" -name 'frp*.service' | wc -l)" = 4 ] || { echo "not the four units" >&2; exit 1; }
for unit in "$units"/frp*.service; do
    name=${unit##*/}
    for program in frps frpc frpd-ctl; do
        sed -i "s|=/usr/bin/$program |=$unpacked/usr/bin/$program |" "$unit"
    done
    # It looks at what a unit refers to as well, so units of this machine may come up: not our affair.
    if ! systemd-analyze verify --man=no "$unit" >"$unpacked/said" 2>&1; then
        cat "$unpacked/said" >&2
        exit 1
    fi
    if grep -F "$name" "$unpacked/said" >&2; then exit 1; fi
    systemd-analyze security --no-pager --offline=true --threshold=$limit "$unit" >"$unpacked/score" || {
        grep '✗' "$unpacked/score" >&2
        tail -n 1 "$unpacked/score" >&2
        exit 1
    }
    sed -n "\$s|.*: \([0-9.]*\) .*|$name: verified, exposure \1|p" "$unpacked/score"
done
