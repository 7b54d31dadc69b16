#!/bin/bash
# Boots a Debian folder with its own systemd and runs a command in there.
#
#   tools/boot.sh [-b FOLDER:INSIDE]... [-n NETNS] [-o] FOLDER COMMAND [ARGUMENT...]
#
#   -b   show a folder inside, read-only
#   -n   the network namespace to use (default: one of its own, with loopback only)
#   -o   run COMMAND outside while it is up, with BOOT_ROOT (its files) and BOOT_ENTER (a program
#        that runs its arguments after the first one inside, as chroot would)
#
# The folder stays as it was: what is written goes to memory. The exit status is COMMAND's. Several
# may be booted at a time. Needs root and systemd-nspawn.
set -euo pipefail
usage() { sed -n '2,/^# may be/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
network=(--private-network) binds=() outside=
while getopts b:n:o option; do
    case $option in
        b) binds+=("--bind-ro=$OPTARG") ;;
        n) network=("--network-namespace-path=/run/netns/$OPTARG") ;;
        o) outside=1 ;;
        *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -ge 2 ] || usage
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
lower=$(readlink -f -- "$1")
shift
[ -x "$lower/lib/systemd/systemd" ] || { echo "$lower: no systemd in there" >&2; exit 2; }

work=$(mktemp -d /tmp/frpd-boot.XXXXXX)
name=${work##*/}
name=${name//./-}
nspawn='' leader='' groups=()

alive() { [ -n "$1" ] && kill -0 "$1" 2>/dev/null; }

clean_up() {
    trap '' INT TERM
    if alive "$leader"; then
        kill -s RTMIN+4 "$leader" 2>/dev/null || true # systemd's signal for power-off
        for _ in {1..100}; do alive "$nspawn" || break; sleep 0.1; done
    fi
    if [ -n "$nspawn" ]; then
        kill -KILL "$nspawn" 2>/dev/null || true
        wait "$nspawn" 2>/dev/null || true
    fi
    umount -l "$work/memory/root" 2>/dev/null || true
    umount -l "$work/memory" 2>/dev/null || true
    rm -rf --one-file-system "$work"
    for group in "${groups[@]}"; do
        for _ in {1..20}; do
            find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
            [ -d "$group" ] || break
            sleep 0.1
        done
    done
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

mkdir "$work/memory"
mount -t tmpfs -o mode=755 tmpfs "$work/memory"
mkdir "$work/memory/upper" "$work/memory/work" "$work/memory/root"
mount -t overlay overlay "$work/memory/root" \
    -o "lowerdir=$lower,upperdir=$work/memory/upper,workdir=$work/memory/work"
root=$work/memory/root
: >"$root/etc/machine-id"

# A control group of its own, in whichever hierarchies there are, so that boots do not meet.
for hierarchy in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
    if [ -f "$hierarchy/cgroup.procs" ] && mkdir "$hierarchy/$name" 2>/dev/null; then
        groups+=("$hierarchy/$name")
    fi
done
(
    for group in "${groups[@]}"; do echo "$BASHPID" >"$group/cgroup.procs"; done
    # No machined and no bus is needed outside.
    exec systemd-nspawn --directory="$root" --boot --register=no --keep-unit --console=pipe \
        --machine="$name" --hostname=debian --resolv-conf=off --timezone=off --link-journal=no \
        "${network[@]}" "${binds[@]}"
) </dev/null >"$work/console" 2>&1 &
nspawn=$!

inside() {
    nsenter -t "$leader" -a -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"
}

state=nothing
for _ in {1..600}; do
    alive "$nspawn" || { cat "$work/console" >&2; nspawn=; exit 125; }
    [ -n "$leader" ] || leader=$(tr -d ' ' <"/proc/$nspawn/task/$nspawn/children" 2>/dev/null) || true
    [ -z "$leader" ] || state=$(inside systemctl is-system-running 2>/dev/null) || true
    case $state in running | degraded) break ;; esac
    sleep 0.1
done
case $state in
    running | degraded) ;;
    *) cat "$work/console" >&2; echo "did not come up: $state" >&2; exit 125 ;;
esac

status=0
if [ -n "$outside" ]; then
    {
        echo '#!/bin/sh'
        echo shift
        echo "exec nsenter -t $leader -a -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin" \
            'HOME=/root LANG=C.UTF-8 "$@"'
    } >"$work/enter"
    chmod 755 "$work/enter"
    BOOT_ROOT=$root BOOT_ENTER=$work/enter "$@" || status=$?
else
    inside systemd-run --quiet --wait --pipe --collect --setenv=LANG=C.UTF-8 \
        --setenv=HOME=/root -- "$@" || status=$?
fi
exit "$status"
