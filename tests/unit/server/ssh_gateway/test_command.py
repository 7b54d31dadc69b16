"""The command of ssh -R is read as frp reads it, and what it cannot mean is said."""

from __future__ import annotations

import pytest

from frpd.errors import ConfigError
from frpd.proto.message.types import NewProxy
from frpd.server.ssh_gateway.command import (
    FLAGS,
    MAX_COMMAND_CHARS,
    HelpWanted,
    Wanted,
    read_command,
    usage,
)


def read(text: str, user: str = "") -> Wanted:
    return read_command(text, spare_name="1a2b", user=user)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "tcp --proxy_name x --remote_port 9090",
            NewProxy(proxy_name="x", proxy_type="tcp", remote_port=9090),
        ),
        ("tcp -n x -r9090", NewProxy(proxy_name="x", proxy_type="tcp", remote_port=9090)),
        ("tcp --remote-port=1 word", NewProxy("sshtunnel-tcp-1a2b", "tcp", remote_port=1)),
        (
            "http -d a.test --custom-domain b.test --locations=/x --http_user u --http_pwd p",
            NewProxy(
                proxy_name="sshtunnel-http-1a2b",
                proxy_type="http",
                custom_domains=["a.test", "b.test"],
                locations=["/x"],
                http_user="u",
                http_pwd="p",
            ),
        ),
        (
            "tcpmux --mux=httpconnect -d=a.test",
            NewProxy(
                proxy_name="sshtunnel-tcpmux-1a2b",
                proxy_type="tcpmux",
                custom_domains=["a.test"],
                multiplexer="httpconnect",
            ),
        ),
        (
            'stcp -n s --sk=KEY --allow-users="*" --metadatas a=1,b=2',
            NewProxy(
                proxy_name="s",
                proxy_type="stcp",
                metas={"a": "1", "b": "2"},
                sk="KEY",
                allow_users=["*"],
            ),
        ),
        ("https --sd it's", NewProxy("sshtunnel-https-1a2b", "https", subdomain="it's")),
    ],
)
def test_flags_are_those_of_frpc(text: str, expected: NewProxy) -> None:
    assert read(text).request == expected


def test_user_and_token_are_of_the_client() -> None:
    wanted = read(r"tcp -n x --user bob -t 'two \words'")
    assert (wanted.user, wanted.request.proxy_name) == ("bob", "bob.x")
    assert wanted.token.reveal() == r"two \words"
    assert r"two \words" not in repr(wanted)


def test_whose_key_it_was_is_who_it_is() -> None:
    wanted = read("tcp -n x --user bob", user="alice")
    assert (wanted.user, wanted.request.proxy_name) == ("alice", "alice.x")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("udp -r 1", "invalid proxy type: 'udp'"),
        ("", "invalid proxy type: ''"),
        ("tcp --local_ip 1.1.1.1", "unknown flag: --local_ip"),
        ("tcp --plugin=socks5", "unknown flag: --plugin"),
        ("tcp -x 1", "unknown flag: -x"),
        ("tcp --remote_port", "flag needs an argument: --remote_port"),
        ("tcp --remote_port 70000", "70000"),
        ("tcp " + "x" * MAX_COMMAND_CHARS, "a command of more than"),
    ],
)
def test_what_it_cannot_mean_is_said(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read(text)


@pytest.mark.parametrize("kind", FLAGS)
def test_help_has_all_flags(kind: str) -> None:
    with pytest.raises(HelpWanted) as wish:
        read(f"{kind} --help")
    assert str(wish.value) == usage(kind)
    assert all(f"--{name} " in usage(kind) for name in FLAGS[kind])


def test_help_alone_names_the_types() -> None:
    with pytest.raises(HelpWanted, match="tcp, http, https, tcpmux, stcp"):
        read("--help")
