#!/bin/sh
# Makes a small fresh Debian in a folder, to be booted by tools/boot.sh.
#
#   tools/debian-root.sh [-s SUITE] [-d FILE.deb] [-i PACKAGES] FOLDER
#
#   -s SUITE      bookworm (the default), trixie
#   -d FILE.deb   lay by what it depends on, so that `apt install ./FILE.deb` works in there without
#                 a network; nothing of it is installed
#   -i PACKAGES   more packages to install, with commas between
#
# Reused as it is when FOLDER was made for the same wishes before. Takes packages from where this
# machine takes its own. Needs root and mmdebstrap.
set -eu
suite=bookworm deb='' more=
while getopts s:d:i: option; do
    case $option in
        s) suite=$OPTARG ;;
        d) deb=$(readlink -f -- "$OPTARG") ;;
        i) more=$OPTARG ;;
        *) sed -n '2,/^# machine/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
folder=$(readlink -m -- "$1")
stamp=$folder/var/lib/frpd-test-root
packages=systemd-sysv,dbus,iproute2,procps,python3,curl,logrotate,bash-completion,man-db
[ -z "$more" ] || packages=$packages,$more
wanted="$suite $packages"
[ -z "$deb" ] || wanted="$wanted $(dpkg-deb -f "$deb" Depends Recommends | sha256sum)"
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi
if [ -e "$folder" ] && [ ! -e "$stamp" ]; then
    echo "$folder: was not made here, so it stays" >&2
    exit 2
fi
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
here=$(. /etc/os-release && echo "$VERSION_CODENAME")
sources() {
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
        [ ! -e "$file" ] || sed "s/\b$here\b/$suite/g" "$file"
        echo
    done
}
trap 'rm -rf --one-file-system "$folder.new"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
rm -rf --one-file-system "$folder.new"
log=$folder.log
mkdir -p "${folder%/*}"
# The package lists and what is downloaded stay: apt in there has no network.
# shellcheck disable=SC2016 # $1 is mmdebstrap's: the folder
sources | mmdebstrap --variant=minbase --skip=cleanup/apt \
    --include="$packages" \
    ${deb:+--customize-hook="copy-in '$deb' /tmp"} \
    ${deb:+--customize-hook='chroot "$1" sh -c "apt-get clean && apt-get -y --download-only -o APT::Install-Recommends=true install /tmp/*.deb && rm /tmp/*.deb"'} \
    --customize-hook='rm -f "$1/etc/resolv.conf"' \
    "$suite" "$folder.new" - >"$log" 2>&1 || { tail -n 15 "$log" >&2; exit 1; }
printf '%s\n' "$wanted" >"$folder.new/var/lib/frpd-test-root"
rm -rf --one-file-system "$folder"
mv "$folder.new" "$folder"
rm -f "$log"
