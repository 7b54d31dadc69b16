"""frpd.admin.peers: who connects a Unix socket."""

from __future__ import annotations

import os
import socket

import pytest

from frpd.admin.peers import Peer, peer_of


def test_the_kernel_tells_process_user_and_groups() -> None:
    one, other = socket.socketpair()
    with one, other:
        peer = peer_of(one)
    assert (peer.pid, peer.uid) == (os.getpid(), os.getuid())
    assert os.getgid() in peer.groups
    assert set(os.getgroups()) <= peer.groups
    assert peer.is_trusted


@pytest.mark.parametrize(
    ("uid", "groups", "is_trusted"),
    [
        (0, {0}, True),
        (1000, {100}, True),
        (1001, {2000, 2001}, True),
        (1001, {2001, 100}, False),
    ],
)
def test_root_our_user_and_our_group_are_trusted(
    monkeypatch: pytest.MonkeyPatch, uid: int, groups: set[int], is_trusted: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "getegid", lambda: 2000)
    assert Peer(1, uid, frozenset(groups)).is_trusted is is_trusted
