#!/bin/sh
# The package's whole life, on a Debian made for it: installed, started, reloaded, restarted under
# load, killed, upgraded, removed and purged. Says what was seen; fails at the first thing amiss.
#
#   tools/lifecycle.sh [-s SUITE] [-o OLD.deb]
#
#   -s SUITE     bookworm (the default), trixie
#   -o OLD.deb   the release to upgrade from (default: this one under a lower version)
#
# Needs root, mmdebstrap, systemd-container and the package lists of apt. The first run makes the
# Debian in build/, which takes a minute or two; later ones boot it again, it stays as it was.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd)
suite=bookworm old=
while getopts s:o: option; do
    case $option in
        s) suite=$OPTARG ;;
        o) old=$(readlink -f -- "$OPTARG") ;;
        *) sed -n '2,/^# Debian/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
done
for tool in mmdebstrap systemd-nspawn; do
    command -v $tool >/dev/null || { echo "$tool is missing" >&2; exit 2; }
done
[ "$(id -u)" = 0 ] || { echo "only root can boot a Debian" >&2; exit 2; }

work=$root/build/lifecycle
mkdir -p "$work"
rm -rf "$work/tools"
echo "==> building the package"
new=$("$root/tools/build-deb.sh" "$work/new")
[ -n "$old" ] || old=$("$root/tools/build-deb.sh" -v 0.0.1~previous "$work/old")
mkdir "$work/tools"
cp -r "$root/tools/lifecycle" "$root/tools/__init__.py" "$work/tools/"
mkdir -p "$work/debian"
cp -r "$root/debian/tests" "$work/debian/"
cp "$old" "$work/old.deb"
cp "$new" "$work/new.deb"
echo "==> a fresh Debian: $suite"
"$root/tools/debian-root.sh" -s "$suite" -d "$work/new.deb" "$root/build/debian-$suite"
echo "==> booting it"
exec "$root/tools/boot.sh" -b "$work:/v" "$root/build/debian-$suite" \
    env -C /v PYTHONDONTWRITEBYTECODE=1 python3 -m tools.lifecycle /v/old.deb /v/new.deb
