#!/bin/sh
# Renews requirements/*.txt: versions within the bounds of pyproject.toml, with the hashes of their files.
#
#   tools/lock.sh            the newest versions
#   tools/lock.sh -k         keep what is there as far as the bounds allow
#
# Uses uv of PATH, or brings one into build/lock. No address of an index is written.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd)
. "$root/tools/setup.sh"
renew=--upgrade
while getopts k option; do
    case $option in
        k) renew=--no-upgrade ;;
        *) sed -n '2,/^# Uses/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
done
uv=$(command -v uv || true)
if [ -z "$uv" ]; then
    uv=$root/build/lock/bin/uv
    if [ ! -x "$uv" ]; then
        find_python
        logged "$python" -m venv --clear "$root/build/lock" || fail "no virtual environment in build/lock"
        logged "$root/build/lock/bin/pip" install --disable-pip-version-check uv || fail "uv could not be installed"
    fi
fi

# One file for all Pythons and machines; where they differ, a line has a condition.
lock() {
    to=$1
    shift
    say "requirements/$to.txt"
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-emit-find-links --no-annotate --custom-compile-command "make lock" $renew \
        --output-file "requirements/$to.txt" "$@" >/dev/null
}

cd "$root"
lock runtime --extra accel pyproject.toml
lock full --extra accel --extra completion --extra oidc --extra quic --extra ssh pyproject.toml
lock dev --extra accel --extra dev pyproject.toml
lock build requirements/build.in
lock ansible ansible/requirements.txt
lock molecule requirements/molecule.in
