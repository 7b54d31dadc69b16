"""frpd.cli.quick: which proxy or visitor the flags of all frp versions make."""

from __future__ import annotations

import pytest

from frpd.cli.frpc import make_parser
from frpd.cli.quick import COMMON_FLAGS, PROXY_FLAGS, load_quick
from frpd.config.client import ClientSetup
from frpd.config.fields import CLIENT, PROXY, PROXY_TYPES, VISITOR
from frpd.config.flags import ALIASES, METADATAS, NO_KEYS
from frpd.config.load import Loaded
from frpd.config.proxies import (
    HttpProxyConfig,
    HttpsProxyConfig,
    StcpProxyConfig,
    TcpMuxProxyConfig,
    TcpProxyConfig,
)
from frpd.config.visitors import VisitorConfig
from frpd.errors import ConfigError

PARSER = make_parser()  # takes as long as a hundred of these tests
SECRET_TYPES = pytest.mark.parametrize("kind", ["stcp", "sudp", "xtcp"])


def load(*typed: str) -> Loaded[ClientSetup]:
    return load_quick(PARSER.parse(typed))


def setup_of(typed: str) -> ClientSetup:
    return load(*typed.split()).value


def visitor_of(typed: str) -> VisitorConfig:
    setup = setup_of(typed)
    assert not setup.proxies
    (visitor,) = setup.visitors
    return visitor


@pytest.mark.parametrize(
    "server",
    [
        *("-s host:7009", "-s host -P 7009", "--server-addr=host:7009"),
        *("--server_addr host --server_port 7009", "--server-addr host --server-port=7009"),
    ],
)
def test_the_server_is_host_and_port_or_host_port(server: str) -> None:
    common = setup_of(f"tcp {server} -l 22 -r 6000").common
    assert (common.server_addr, common.server_port) == ("host", 7009)


@pytest.mark.parametrize(
    ("typed", "attribute", "value"),
    [
        ("-u me", "user", "me"),
        ("--user=me", "user", "me"),
        ("-p websocket", "protocol", "websocket"),
        ("--protocol wss", "protocol", "wss"),
        ("--log-level debug", "log_level", "debug"),
        ("--log_level debug", "log_level", "debug"),
        ("--log-file /a", "log_file", "/a"),
        ("--log-max-days 9", "log_max_days", 9),
        ("--disable-log-color", "disable_log_color", True),
        ("--disable_log_color=false", "disable_log_color", False),
        ("--tls-enable", "tls_enable", True),
        ("--tls_enable true", "tls_enable", True),
        ("--tls-server-name a.b", "tls_server_name", "a.b"),
        ("--dns-server 9.9.9.9", "dns_server", "9.9.9.9"),
    ],
)
def test_every_flag_of_the_client_has_both_spellings(
    typed: str, attribute: str, value: object
) -> None:
    assert getattr(setup_of(f"tcp {typed} -l 22").common, attribute) == value


def test_the_quick_form_of_tcp_makes_one_proxy() -> None:
    setup = setup_of("tcp -s h -t secret -u me -n ssh -i 10.0.0.1 -l 22 -r 6000 --ue --uc")
    assert setup.common.token.reveal() == "secret"
    (proxy,) = setup.proxies
    assert isinstance(proxy, TcpProxyConfig)
    assert (proxy.name, proxy.local_ip, proxy.local_port) == ("me.ssh", "10.0.0.1", 22)
    assert (proxy.remote_port, proxy.use_encryption, proxy.use_compression) == (6000, True, True)


@pytest.mark.parametrize("kind", PROXY_FLAGS)
def test_every_type_has_its_quick_form(kind: str) -> None:
    more = {"http": "-d a.b", "https": "--sd a", "tcpmux": "-d a.b --mux httpconnect"}
    typed = f"{kind} --proxy-name x --local-ip ::1 --local_port 80 --uc=true {more.get(kind, '')}"
    (proxy,) = setup_of(typed).proxies
    assert (proxy.proxy_type, proxy.name) == (kind, "x")
    assert (proxy.local_ip, proxy.local_port, proxy.use_compression) == ("::1", 80, True)


def test_flags_of_hosts_are_lists_with_commas() -> None:
    (http,) = setup_of(
        "http -l 80 -d a.test,B.test --locations=/a,/b --http-user u --http_pwd p"
        " --host-header-rewrite c.test --sd s"
    ).proxies
    assert isinstance(http, HttpProxyConfig)
    assert (http.custom_domains, http.locations) == (("a.test", "b.test"), ("/a", "/b"))
    assert (http.http_user, http.http_pwd.reveal()) == ("u", "p")
    assert (http.host_header_rewrite, http.subdomain) == ("c.test", "s")
    (https,) = setup_of("https -l 443 --custom-domain a.test").proxies
    assert isinstance(https, HttpsProxyConfig)
    assert https.custom_domains == ("a.test",)
    (mux,) = setup_of("tcpmux -l 80 -d a.test --mux httpconnect --http-user u").proxies
    assert isinstance(mux, TcpMuxProxyConfig)
    assert (mux.multiplexer, mux.http_user) == ("httpconnect", "u")


def test_a_secret_proxy_has_its_key_and_its_users() -> None:
    (proxy,) = setup_of("stcp -n s -l 22 --sk key --allow-users ann,bob").proxies
    assert isinstance(proxy, StcpProxyConfig)
    assert (proxy.sk.reveal(), proxy.allow_users) == ("key", ("ann", "bob"))


@SECRET_TYPES
@pytest.mark.parametrize(
    "typed",
    [
        "KIND --role visitor -n v",
        "KIND --role=visitor --proxy_name v",
        "KIND visitor -n v",
        "KIND visitor --visitor-name v",
        "KIND -s host visitor --visitor_name=v",
        "KIND --uc visitor -n v",
    ],
)
def test_a_visitor_is_made_in_both_ways(kind: str, typed: str) -> None:
    more = "-u me --sk k --server-name s --bind_addr 127.0.0.2 --bind-port 9 --server-user you"
    visitor = visitor_of(f"{typed.replace('KIND', kind)} {more}")
    assert (visitor.visitor_type, visitor.name, visitor.server_name) == (kind, "me.v", "you.s")
    assert (visitor.bind_addr, visitor.bind_port, visitor.sk.reveal()) == ("127.0.0.2", 9, "k")


def test_a_visitor_listens_on_this_machine_unless_told_otherwise() -> None:
    visitor = visitor_of("stcp visitor --server_name s --sk k --bind_port 9")
    assert visitor.bind_addr == "127.0.0.1"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("tcp -r 6000", "local_port: missing"),
        ("tcp -l x", "local_port: 'x' cannot be used"),
        ("tcp -s :7000 -l 22", "invalid server_addr"),
        ("tcp -l 22 -p smoke", "protocol: 'smoke' cannot be used; accepted: tcp, "),
        ("http -l 80", "custom_domains or subdomain must be set"),
        ("http -l 80 -d=", "custom_domains or subdomain must be set"),
        ("tcpmux -l 80 -d a.test", "multiplexer: missing"),
        (
            "stcp --role admin --sk k -l 1",
            "role: 'admin' cannot be used; accepted: server",
        ),
        ("stcp visitor --sk k --server_name s", "bind_port: missing"),
        ("stcp visitor --sk k --bind_port 1", "server_name: missing"),
    ],
)
def test_what_cannot_be_is_an_error_that_names_the_key(typed: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        setup_of(typed)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("tcp -l 1 word", "'word' on the command line means nothing and is ignored"),
        ("tcp visitor -l 1", "'visitor' on the command line means nothing and is ignored"),
        ("stcp -l 1 --sk k ann visitor", "'ann' on the command line means nothing and is ignored"),
        ("tcp -l 1 --annotations a=b", "annotations: has no effect"),
        ("tcp -l 1 --client-id me", "client_id: has no effect"),
    ],
)
def test_what_has_no_effect_is_said(typed: str, told: str) -> None:
    assert any(told in line for line in load(*typed.split()).warnings)


def test_a_plain_quick_form_has_nothing_to_say() -> None:
    assert load("tcp", "-l", "1", "-r", "2").warnings == ()


def test_flags_of_all_commands_are_taken_and_mean_nothing_here() -> None:
    typed = "tcp -l 1 -c x --config y --strict_config --strict-config=false --allow-unsafe a,b"
    assert load(*typed.split()).warnings == ()


@pytest.mark.parametrize("proxy_type", PROXY_FLAGS)
def test_every_flag_of_a_quick_form_stands_for_a_key(proxy_type: str) -> None:
    rows = (*CLIENT, *PROXY, *PROXY_TYPES[proxy_type], *VISITOR)
    keys = {row.name for row in rows} | {"proxy_name", METADATAS, *NO_KEYS}
    flags = (*COMMON_FLAGS, *PROXY_FLAGS[proxy_type])
    assert {ALIASES.get(name, name) for name, _ in flags} <= keys
