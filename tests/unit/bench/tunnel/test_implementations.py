from __future__ import annotations

import pytest

from bench.tunnel.implementations import parse_implementation


def test_commands_are_split_as_a_shell_would() -> None:
    one = parse_implementation("ours=env A='b c' frps -c|frpc -c")
    assert one.name == "ours"
    assert one.server == ("env", "A=b c", "frps", "-c")
    assert one.client == ("frpc", "-c")


@pytest.mark.parametrize(
    "text", ["", "ours", "ours=frps", "=a|b", "ours=|frpc", "ours=frps|", "=ssh:"]
)
def test_an_incomplete_implementation_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="SERVER COMMAND"):
        parse_implementation(text)


@pytest.mark.parametrize(
    ("text", "server", "client"),
    [
        ("it=rathole:", ("rathole",), ("rathole",)),
        ("it=rathole:/opt/rathole", ("/opt/rathole",), ("/opt/rathole",)),
        ("it=ssh:/usr/sbin/sshd|", ("/usr/sbin/sshd",), ("ssh",)),
        ("it=chisel:new|old -v", ("new",), ("old", "-v")),
    ],
)
def test_another_kind_needs_no_more_than_its_word(
    text: str, server: tuple[str, ...], client: tuple[str, ...]
) -> None:
    one = parse_implementation(text)
    assert one.kind == text.removeprefix("it=").partition(":")[0]
    assert (one.server, one.client) == (server, client)


def test_commands_with_a_colon_are_frps_unless_a_kind_has_that_word() -> None:
    one = parse_implementation("it=env A=b:c frps -c|frpc -c")
    assert (one.kind, one.server) == ("frp", ("env", "A=b:c", "frps", "-c"))
    one = parse_implementation("it=frp:")
    assert (one.kind, one.server, one.client) == ("frp", ("frps", "-c"), ("frpc", "-c"))
