"""frpd.cli.account: who is found for a name, and what happens to those who may not change."""

from __future__ import annotations

import grp
import os
import pwd

import pytest

from frpd.cli import account
from frpd.cli.account import Account, become, find_account
from frpd.errors import ConfigError

ROOT = pwd.getpwuid(0)
NOBODY = pwd.getpwnam("nobody")
NUMBER_OF_NO_ONE = 4_000_000_000


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """Notes what the system would be asked for."""
    made: list[tuple[object, ...]] = []
    for name in ("initgroups", "setgroups", "setresgid", "setresuid"):
        monkeypatch.setattr(os, name, lambda *args, name=name: made.append((name, *args)))
    return made


@pytest.fixture
def plain_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes this process look like one of nobody's."""
    uid, gid = NOBODY.pw_uid, NOBODY.pw_gid
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(os, "getresuid", lambda: (uid, uid, uid))
    monkeypatch.setattr(os, "getresgid", lambda: (gid, gid, gid))

    def refuse(*_args: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "initgroups", refuse)
    monkeypatch.setattr(os, "setgroups", refuse)


def test_a_name_brings_its_own_group() -> None:
    assert find_account("nobody") == Account("nobody", NOBODY.pw_uid, NOBODY.pw_gid)


def test_a_group_may_be_given() -> None:
    group = grp.getgrgid(0).gr_name
    assert find_account(f"nobody:{group}") == Account("nobody", NOBODY.pw_uid, 0)


def test_numbers_will_do() -> None:
    assert find_account(str(NOBODY.pw_uid)).login == "nobody"
    assert find_account(f"{NUMBER_OF_NO_ONE}:77") == Account("", NUMBER_OF_NO_ONE, 77)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("no such one", "--user: there is no user 'no such one'"),
        ("", "--user: there is no user ''"),
        ("nobody:no such", "--user: there is no group 'no such'"),
        ("nobody:", "--user: there is no group ''"),
        ("-1", "--user: there is no user '-1'"),
        (str(0xFFFF_FFFF), f"--user: there is no user '{0xFFFF_FFFF}'"),
        (f"nobody:{0xFFFF_FFFF}", f"--user: there is no group '{0xFFFF_FFFF}'"),
    ],
)
def test_who_is_unknown_is_named(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as error:
        find_account(text)
    assert str(error.value) == complaint


def test_a_number_without_an_entry_needs_a_group() -> None:
    with pytest.raises(ConfigError, match=f"give the group too, {NUMBER_OF_NO_ONE}:GROUP"):
        find_account(str(NUMBER_OF_NO_ONE))


def test_groups_go_before_the_user_and_all_three_numbers_of_each(
    calls: list[tuple[object, ...]],
) -> None:
    become(Account("someone", 77, 78))
    assert calls == [
        ("initgroups", "someone", 78),
        ("setresgid", 78, 78, 78),
        ("setresuid", 77, 77, 77),
    ]


def test_a_number_without_an_entry_has_its_group_alone(calls: list[tuple[object, ...]]) -> None:
    become(Account("", 77, 78))
    assert calls[0] == ("setgroups", [78])


@pytest.mark.usefixtures("plain_user")
def test_only_root_can_become_another() -> None:
    with pytest.raises(ConfigError) as error:
        become(Account("root", 0, 0))
    assert str(error.value) == (
        "--user: cannot become root: operation not permitted; "
        f"only root can, and this is uid {NOBODY.pw_uid}"
    )


@pytest.mark.usefixtures("plain_user")
def test_anyone_can_stay_who_he_is() -> None:
    become(account.find_account("nobody"))
