"""Who was recognised by an SSH key needs no token, and a client that is too old is still one."""

from __future__ import annotations

import pytest

from frpd.auth.vouched import VOUCHED
from frpd.errors import AuthError
from frpd.proto.message.types import Login, NewWorkConn, Ping


def test_no_key_is_asked_for() -> None:
    VOUCHED.verify_login(Login(version="0.51.3"), 1_000_000)
    VOUCHED.verify_ping(Ping())
    VOUCHED.verify_new_work_conn(NewWorkConn())
    assert VOUCHED.for_session() is VOUCHED
    assert not (VOUCHED.heartbeats)
    assert not (VOUCHED.new_work_conns)


def test_the_version_is_looked_at() -> None:
    with pytest.raises(AuthError, match="upgrade"):
        VOUCHED.verify_login(Login(version="0.1.0"), 1_000_000)
