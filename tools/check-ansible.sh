#!/bin/sh
# Checks the Ansible roles by ansible-lint, and by reading what they write as frpd does.
#
#   tools/check-ansible.sh       in an environment of its own, .venv-ansible; no machine is needed
#   tools/check-ansible.sh -m    molecule besides: the roles on three Debian machines that are booted
#                                here, with the package of build/deb; needs root, systemd-nspawn,
#                                mmdebstrap, ip and ssh
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd)
. "$root/tools/setup.sh"
machines=
while getopts m option; do
    case $option in
        m) machines=1 ;;
        *) sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
done

# Apart from .venv: many libraries that nothing else needs, some of them not beside its own.
own=$root/.venv-ansible
libraries=$root/requirements/ansible.txt
[ -z "$machines" ] || libraries=$root/requirements/molecule.txt
wanted="$libraries $(cksum <"$libraries")"
if [ "$(cat "$own/.frpd-setup" 2>/dev/null)" != "$wanted" ]; then
    find_python
    say "Ansible: installing ansible-core and ansible-lint ${machines:+and molecule }into $own"
    # With the other environment's pip, since bringing one takes longer than all the rest.
    logged "$python" -m venv --without-pip --clear "$own" || fail "$own could not be made"
    logged "$venv/bin/python" -m pip --disable-pip-version-check --python "$own/bin/python" \
        install --require-hashes -r "$libraries" \
        || fail "pip could not install Ansible into $own" "The whole story is in $setup_log."
    printf '%s\n' "$wanted" >"$own/.frpd-setup"
fi

# Of the caller's settings none count, and nothing is written outside of build/.
PATH=$own/bin:/usr/sbin:/usr/bin:/sbin:/bin
ANSIBLE_HOME=$root/build/ansible
ANSIBLE_LOCALHOST_WARNING=false
ANSIBLE_INVENTORY_UNPARSED_WARNING=false
LC_ALL=C.UTF-8
export PATH ANSIBLE_HOME ANSIBLE_LOCALHOST_WARNING ANSIBLE_INVENTORY_UNPARSED_WARNING LC_ALL
cd "$root/ansible"
ansible-lint --offline -q
logged ansible-playbook tests/rendering.yml -e "frpd_python=$venv/bin/python" \
    -e "ansible_python_interpreter=$own/bin/python" \
    || fail "what the roles write is not what was meant" "The whole story is in $setup_log."
[ -n "$machines" ] || exit 0

FRPD_DEB=$(ls "$root"/build/deb/frpd_*_all.deb)
export FRPD_DEB
"$root/tools/debian-root.sh" -d "$FRPD_DEB" -i openssh-server,python3-apt,curl \
    "$root/build/debian-for-ansible"
exec extensions/molecule/machines.sh "$root/build/debian-for-ansible" molecule test
