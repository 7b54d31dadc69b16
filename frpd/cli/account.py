"""The account that a daemon becomes once its ports are bound."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass

from frpd.errors import ConfigError

_KEY = "--user"


@dataclass(frozen=True, slots=True)
class Account:
    """A user and the group to run as; ``login`` is empty where no name belongs to the number."""

    login: str
    uid: int
    gid: int


def find_account(text: str) -> Account:
    """Look up ``NAME[:GROUP]``; either may be a number.

    Raises:
        ConfigError: there is no such user or group.
    """
    name, colon, group = text.partition(":")
    entry = _user(name)
    if colon:
        gid = _group_id(group)
    elif entry is not None:
        gid = entry.pw_gid
    else:
        raise ConfigError(f"user {name} has no entry: give the group too, {name}:GROUP", key=_KEY)
    if entry is None:
        return Account("", int(name), gid)
    return Account(entry.pw_name, entry.pw_uid, gid)


def become(account: Account) -> None:
    """Run as this account from now on, with its groups and no way back.

    Raises:
        ConfigError: the system refuses.
    """
    uid, gid = account.uid, account.gid
    if uid != 0 and os.getresuid() == (uid, uid, uid) and os.getresgid() == (gid, gid, gid):
        return  # only root could say which further groups to keep, and there is nothing to give up
    try:
        if account.login:
            os.initgroups(account.login, gid)
        else:
            os.setgroups([gid])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except OSError as error:
        who = account.login or str(uid)
        why = (error.strerror or str(error)).lower()
        if os.geteuid() != 0:
            why += f"; only root can, and this is uid {os.geteuid()}"
        raise ConfigError(f"cannot become {who}: {why}", key=_KEY) from error


def _user(name: str) -> pwd.struct_passwd | None:
    """Return the entry of a user; None for a number that has none."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        if not _is_number(name):
            raise ConfigError(f"there is no user {name!r}", key=_KEY) from None
    try:
        return pwd.getpwuid(int(name))
    except KeyError:
        return None


def _group_id(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        if not _is_number(name):
            raise ConfigError(f"there is no group {name!r}", key=_KEY) from None
    return int(name)


def _is_number(name: str) -> bool:
    # The highest number means "leave it as it is" to the kernel.
    return name.isascii() and name.isdigit() and int(name) < 0xFFFF_FFFF
