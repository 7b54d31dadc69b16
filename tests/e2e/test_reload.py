"""Reload of frpc while visitors are there: by SIGHUP and by ``frpc reload``."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.helpers.modes import MODES
from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, ini, run, wait_until
from tests.helpers.reload_storm import RELOADED, Storm, rage
from tests.helpers.stage import Stage, Tunnel, started
from tests.helpers.visitors import (
    echoes,
    exchange,
    is_over,
    refuses,
    visit,
    wait_for_echo,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Record = Callable[[str, object], None]


def edit(tunnel: Tunnel, old: str, new: str) -> None:
    """Replace a text in the client's file."""
    text = tunnel.client_file.read_text()
    assert old in text
    tunnel.client_file.write_text(text.replace(old, new))


def without(tunnel: Tunnel, name: str) -> None:
    """Remove a section from the client's file."""
    text = tunnel.client_file.read_text()
    head, _, rest = text.partition(f"[{name}]\n")
    tail = rest.partition("\n[")[2]
    tunnel.client_file.write_text(f"{head}[{tail}" if tail else head)


@MODES
def test_unchanged_lives_changed_drains_removed_is_cut(
    stage: Stage, echo_port: int, mux: bool
) -> None:
    names = ("same", "moved", "gone")
    tunnel = stage.tunnel(dict.fromkeys(names, echo_port), mux=mux)
    ports, new_port = tunnel.ports, free_port()
    with visit(ports["same"]) as same, visit(ports["moved"]) as moved, visit(ports["gone"]) as gone:
        for visitor in (same, moved, gone):
            assert exchange(visitor, b"before") == b"before"
        edit(tunnel, str(ports["moved"]), str(new_port))
        without(tunnel, "gone")
        mark = tunnel.frpc.said()
        tunnel.frpc.signal(signal.SIGHUP)
        tunnel.frpc.wait_for(started("moved"), since=mark)
        wait_until(lambda: is_over(gone), "the visitor of the removed proxy is cut")
        assert refuses(ports["gone"])
        assert refuses(ports["moved"])
        assert echoes(new_port)
        for visitor in (same, moved):
            assert exchange(visitor, b"after" * 50_000) == b"after" * 50_000
        assert tunnel.frpc.count(started("same")) == 1


def test_frpc_reload_says_what_came_of_it(stage: Stage, echo_port: int) -> None:
    client = {"admin_port": free_port()}
    tunnel = stage.tunnel({"web": echo_port}, client=client)
    command = str(BIN / "frpc"), "reload", "-c", str(tunnel.client_file)
    old_port, new_port = tunnel.ports["web"], free_port()
    edit(tunnel, f"remote_port = {old_port}", f"remote_port = {new_port}")
    done = run(*command)
    assert (done.returncode, done.stdout) == (0, "reload success\n")
    wait_for_echo(new_port)
    good = tunnel.client_file.read_text()
    with visit(new_port) as visitor:
        edit(tunnel, f"remote_port = {new_port}", "remote_port = none")
        done = run(*command)
        assert done.returncode == 1
        assert "frpc reload error: " in done.stdout
        assert "[web] remote_port: 'none' cannot be used" in done.stdout
        tunnel.frpc.wait_for("nothing was changed")
        assert exchange(visitor, b"still") == b"still"
    assert echoes(new_port)
    tunnel.client_file.write_text(f"{good}\n[mail]\ntype = tcp\nlocal_port = {echo_port}\n")
    assert run(*command).returncode == 0
    tunnel.frpc.wait_for(started("mail"))


def test_a_visitor_moves_and_its_users_stay(stage: Stage, echo_port: int) -> None:
    tunnel = stage.tunnel({"other": echo_port})
    old_port, new_port = free_port(), free_port()
    secret = {"type": "stcp", "sk": "key"}
    door = {**secret, "role": "visitor", "server_name": "vault", "bind_port": old_port}
    sections = {"vault": {**secret, "local_port": echo_port}, "door": door}
    with tunnel.client_file.open("a") as file:
        file.write(f"\n{ini(sections)}")
    tunnel.frpc.signal(signal.SIGHUP)
    tunnel.frpc.wait_for(started("vault"))
    wait_for_echo(old_port)
    with visit(old_port) as user:
        assert exchange(user, b"before") == b"before"
        edit(tunnel, f"bind_port = {old_port}", f"bind_port = {new_port}")
        tunnel.frpc.signal(signal.SIGHUP)
        wait_for_echo(new_port)
        assert refuses(old_port)
        assert exchange(user, b"after" * 50_000) == b"after" * 50_000


def test_what_was_changed_while_the_server_is_away_counts_when_it_is_back(
    stage: Stage, echo_port: int
) -> None:
    tunnel = stage.tunnel({"web": echo_port})
    tunnel.frps.kill()
    tunnel.frpc.wait_for("login to server failed")
    new_port = free_port()
    edit(tunnel, str(tunnel.ports["web"]), str(new_port))
    tunnel.frpc.signal(signal.SIGHUP)
    tunnel.frpc.wait_for(RELOADED)
    tunnel.restart_server()
    wait_for_echo(new_port)
    assert refuses(tunnel.ports["web"])


def test_a_hang_up_ends_nobody(stage: Stage, echo_port: int) -> None:
    tunnel = stage.tunnel({"web": echo_port})
    with visit(tunnel.ports["web"]) as visitor:
        assert exchange(visitor, b"before") == b"before"
        tunnel.frps.signal(signal.SIGHUP)
        tunnel.frps.wait_for(RELOADED)
        tunnel.frpc.signal(signal.SIGHUP)
        tunnel.frpc.wait_for(RELOADED)
        assert exchange(visitor, b"after") == b"after"
    assert tunnel.frps.terminate() == 0
    assert tunnel.frpc.terminate() == 0


def test_a_storm_loses_no_byte_and_ends_as_the_file_says(
    stage: Stage, echo_port: int, record_property: Record
) -> None:
    record_property("blocks", rage(Storm(stage, echo_port, 24), 12))


@pytest.mark.full
@pytest.mark.timeout(600)
@MODES
def test_a_storm_of_two_hundred_proxies_and_fifty_reloads(
    stage: Stage, echo_port: int, mux: bool, record_property: Record
) -> None:
    record_property("blocks", rage(Storm(stage, echo_port, 200, mux=mux), 50))
