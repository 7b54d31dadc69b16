"""``frpc nathole discover``: frp's lines, and its exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from frpd.cli import frpc
from tests.helpers.ports import free_port
from tests.helpers.stun_server import StunServer

if TYPE_CHECKING:
    from pathlib import Path


def test_what_a_stun_server_sees_is_told_in_frps_lines(capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    with StunServer() as stun:
        arguments = ["--nat_hole_stun_server", stun.where, "-l", f"127.0.0.1:{port}"]
        assert frpc.main(["nathole", "discover", *arguments]) == 0
        assert capsys.readouterr().out.splitlines() == [
            f"STUN server: {stun.where}",
            "Your NAT type is: EasyNAT",
            "Behavior is: BehaviorNoChange",
            f"External address is: [127.0.0.1:{port} 127.0.0.1:{port}]",
            f"Local address is: 127.0.0.1:{port}",
            "Public Network: false",
        ]


def test_the_file_names_the_server_unless_a_flag_does(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "frpc.ini"
    with StunServer() as stun:
        file.write_text(f"[common]\nnat_hole_stun_server = {stun.where}\n")
        assert frpc.main(["-c", str(file), "nathole", "discover"]) == 0
        assert f"STUN server: {stun.where}\n" in capsys.readouterr().out


@pytest.mark.parametrize("where", ["[common]\nnat_hole_stun_server =\n", "nonsense"])
def test_without_a_server_there_is_nothing_to_ask(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, where: str
) -> None:
    file = tmp_path / "frpc.ini"
    file.write_text(where)
    assert frpc.main(["-c", str(file), "nathole", "discover", "-l", ":x"]) == 1
    assert capsys.readouterr().out in (
        "nat_hole_stun_server can not be empty\n",
        "discover error: not an address of this machine: ':x'\n",
    )


def test_a_server_with_one_address_is_not_enough(capsys: pytest.CaptureFixture[str]) -> None:
    with StunServer(other=None) as stun:
        assert frpc.main(["nathole", "discover", "--nat_hole_stun_server", stun.where]) == 1
        said = capsys.readouterr().out
    assert said.startswith("discover error: can not get enough addresses, need 2, got: [127.0.0.1")


@pytest.mark.parametrize("local", ["127.0.0.1", ":0", "127.0.0.1:0", ""])
def test_our_own_address_may_leave_things_open(
    capsys: pytest.CaptureFixture[str], local: str
) -> None:
    with StunServer() as stun:
        arguments = ["--nat_hole_stun_server", stun.where, "-l", local]
        assert frpc.main(["nathole", "discover", *arguments]) == 0
    assert "Local address is: " in capsys.readouterr().out


def test_an_address_that_is_not_ours_cannot_be_bound(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--nat_hole_stun_server", "127.0.0.1:9", "-l", "203.0.113.77:0"]
    assert frpc.main(["nathole", "discover", *arguments]) == 1
    assert "discover error: listen udp 203.0.113.77:0: " in capsys.readouterr().out
