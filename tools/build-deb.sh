#!/bin/sh
# Builds the Debian package from the files of this checkout, committed or not.
#
#   tools/build-deb.sh [-v VERSION] [FOLDER]
#
#   -v VERSION   another version than debian/changelog's, for trying upgrades
#   FOLDER       where the .deb and .changes files go (default: build/deb)
#
# Works in a copy, so the checkout stays clean. Needs the packages of Build-Depends in debian/control.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd)
version=
while getopts v: option; do
    case $option in
        v) version=$OPTARG ;;
        *) sed -n '2,/^# Works/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
out=${1:-$root/build/deb}
# The system's own Python and tools, whatever the caller prefers.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
unset PYTHONPATH VIRTUAL_ENV

mkdir -p "$out"
out=$(cd "$out" && pwd)
rm -rf "$out/source"
rm -f "$out"/frpd_*
mkdir "$out/source"
"$root/tools/copy-source.sh" "$out/source"
cd "$out/source"
if [ -n "$version" ]; then
    sed -i "1s/(.*)/($version)/" debian/changelog
fi
# Of what every build is taken to need (-I, -d), a package without a line of C has no use.
if ! { dpkg-checkbuilddeps -I && dpkg-buildpackage -b -d -us -uc; } >"$out/build.log" 2>&1; then
    tail -n 30 "$out/build.log" >&2
    echo "the package could not be built; the whole story is in $out/build.log" >&2
    exit 1
fi
rm -rf "$out/source"
ls "$out"/frpd_*.deb
