#!/bin/bash
# Boots three Debian machines in a network of their own and runs a command beside them.
#
#   ansible/extensions/molecule/machines.sh FOLDER COMMAND [ARGUMENT...]
#
#   FOLDER   a Debian with systemd, ssh and python3-apt, as tools/debian-root.sh makes with
#            -d FILE.deb -i openssh-server,python3-apt,curl; it stays as it was
#
# COMMAND runs in that network, without any other, and finds in its environment FRPD_SERVER,
# FRPD_ALICE and FRPD_BOB (addresses) and FRPD_KEY (for ssh as root). The exit status is COMMAND's.
# Needs root, systemd-nspawn, ip and ssh-keygen.
set -euo pipefail
here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
boot=$here/../../../tools/boot.sh
names=(server alice bob)
[ $# -ge 2 ] || { sed -n '2,/^# Needs/s/^# \{0,1\}//p' "$0" >&2; exit 2; }

# Called by itself inside each boot: lets the key in, and boots the next machine.
if [ "${FRPD_BOOTED:-0}" -gt 0 ]; then
    install -d -m 700 "$BOOT_ROOT/root/.ssh"
    install -m 600 "$FRPD_KEY.pub" "$BOOT_ROOT/root/.ssh/authorized_keys"
    "$BOOT_ENTER" - hostname "${names[FRPD_BOOTED - 1]}"
fi
if [ "${FRPD_BOOTED:-0}" -lt ${#names[@]} ] && [ -n "${FRPD_LAB:-}" ]; then
    folder=$1
    name=${names[FRPD_BOOTED]}
    export FRPD_BOOTED=$((FRPD_BOOTED + 1))
    exec "$boot" -n "$FRPD_LAB-$name" -o "$folder" "$0" "$@"
elif [ -n "${FRPD_LAB:-}" ]; then
    shift
    exec env -u FRPD_LAB -u FRPD_BOOTED ip netns exec "$FRPD_LAB" "$@"
fi

PATH=/usr/sbin:/sbin:$PATH
lab=frpd-$$
work=$(mktemp -d)
clean_up() {
    for name in "${names[@]}"; do ip netns del "$lab-$name" 2>/dev/null || true; done
    ip netns del "$lab" 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
ssh-keygen -q -t ed25519 -N '' -f "$work/key"
ip netns add "$lab"
ip -n "$lab" link set lo up
ip -n "$lab" link add lan type bridge
ip -n "$lab" address add 10.97.0.1/24 dev lan
ip -n "$lab" link set lan up
last=1
for name in "${names[@]}"; do
    last=$((last + 1))
    ip netns add "$lab-$name"
    ip -n "$lab" link add "$name" type veth peer name host0 netns "$lab-$name"
    ip -n "$lab" link set "$name" master lan up
    ip -n "$lab-$name" address add "10.97.0.$last/24" dev host0
    ip -n "$lab-$name" link set lo up
    ip -n "$lab-$name" link set host0 up
    export "FRPD_${name^^}=10.97.0.$last"
done
FRPD_LAB=$lab FRPD_BOOTED=0 FRPD_KEY=$work/key "$0" "$@"
