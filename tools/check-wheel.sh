#!/bin/sh
# Builds sdist and wheel, and installs the wheel into a fresh environment, as pipx would.
#
#   tools/check-wheel.sh [FOLDER]    (default: build/dist)
#
# Fails when a file of frpd/ is not in it. No network: the build tools and the libraries are the system's.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd)
folder=$(readlink -m -- "${1:-$root/build/dist}")
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
unset PYTHONPATH VIRTUAL_ENV
log=$folder/build.log

rm -rf "$folder"
mkdir -p "$folder/source"
logged() {
    "$@" >>"$log" 2>&1 </dev/null || { tail -n 20 "$log" >&2; exit 1; }
}
cd "$root"
"$root/tools/copy-source.sh" "$folder/source"
# The wheel is made from what the sdist holds, so a file that it lacks is found out.
cd "$folder/source"
find frpd -type f | sort >"$folder/wanted"
logged python3 -m build --no-isolation --sdist --outdir "$folder"
mkdir "$folder/unpacked"
tar -x -f "$folder"/frpd-*.tar.gz -C "$folder/unpacked"
cd "$folder"/unpacked/frpd-*
logged python3 -m build --no-isolation --wheel --outdir "$folder"
cd "$folder"
python3 -m zipfile -l frpd-*.whl | sed -n 's|^\(frpd/[^ ]*\) .*|\1|p' | sort >packed
if ! diff wanted packed >missing; then
    echo "the wheel does not have what the checkout has in frpd/:" >&2
    cat missing >&2
    exit 1
fi
rm -rf source unpacked wanted packed missing
logged python3 -m venv --system-site-packages "$folder/venv"
logged "$folder/venv/bin/pip" install --no-index --no-deps frpd-*.whl
for program in frps frpc frpd-ctl; do
    "$folder/venv/bin/$program" -v >"$folder/version"
    printf '%s -v: %s\n' "$program" "$(cat "$folder/version")"
done
"$folder/venv/bin/frps" verify -c "$root/etc/frp/frps.ini"
rm -rf "$folder/venv" "$folder/version"
