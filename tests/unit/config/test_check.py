"""frpd.config.check: rules between keys, and defaults that come from another key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from frpd.config.check import BY_DATAGRAMS, check_client, check_proxy, check_server, check_visitor
from frpd.config.fields import CLIENT, PROXY, PROXY_TYPES, SERVER, VISITOR, VISITOR_TYPES
from frpd.config.load_client import load_client
from frpd.config.load_server import load_server
from frpd.errors import ConfigError
from tests.unit.config.sections import NEW, OLD, Opened

if TYPE_CHECKING:
    from pathlib import Path

    from frpd.config.ini import Dialect

BOTH = pytest.mark.parametrize("dialect", [OLD, NEW], ids=["old", "new"])


def server(text: str, dialect: Dialect = NEW) -> tuple[dict[str, Any], Opened]:
    opened = Opened(f"[common]\n{text}", "common", dialect)
    values = opened.reader.read(SERVER)
    opened.problems.warnings.clear()  # what the rows alone have to say
    check_server(values, opened.reader)
    return values, opened


def client(
    text: str, dialect: Dialect = NEW, environ: dict[str, str] | None = None
) -> tuple[dict[str, Any], Opened]:
    opened = Opened(f"[common]\n{text}", "common", dialect)
    values = opened.reader.read(CLIENT)
    check_client(values, opened.reader, environ or {})
    return values, opened


def proxy(text: str, proxy_type: str, dialect: Dialect = NEW) -> list[str]:
    """Read and check a section; return its errors."""
    opened = Opened(f"[a]\n{text}", "a", dialect)
    values = opened.reader.read(PROXY_TYPES[proxy_type] + PROXY)
    check_proxy(values, opened.reader, proxy_type)
    return opened.errors


def visitor(text: str, visitor_type: str, dialect: Dialect = NEW) -> list[str]:
    opened = Opened(f"[v]\n{text}", "v", dialect)
    values = opened.reader.read(VISITOR_TYPES[visitor_type] + VISITOR)
    check_visitor(values, opened.reader, visitor_type)
    return opened.errors


@BOTH
def test_addresses_that_are_not_set_follow_bind_addr(dialect: Dialect) -> None:
    values, _ = server("bind_addr = 192.0.2.1\nproxy_bind_addr = 192.0.2.2\n", dialect)
    assert (values["proxy_bind_addr"], values["dashboard_addr"]) == ("192.0.2.2", "192.0.2.1")


def test_a_dashboard_without_any_login_gets_one_and_says_so_where_the_key_stands() -> None:
    values, opened = server("dashboard_pwd =\ndashboard_user =\n", OLD)
    assert (values["dashboard_user"], values["dashboard_pwd"].reveal()) == ("admin", "admin")
    assert opened.warnings == [
        "x.ini:3 [common] dashboard_user: an open dashboard is not offered; using admin/admin"
    ]


@pytest.mark.parametrize(
    ("user", "password"), [("", "p"), ("u", "")], ids=["password only", "user only"]
)
def test_half_a_dashboard_login_is_left_as_it_is(user: str, password: str) -> None:
    values, opened = server(f"dashboard_user = {user}\ndashboard_pwd = {password}\n", OLD)
    assert (values["dashboard_user"], values["dashboard_pwd"].reveal()) == (user, password)
    assert opened.silent


@BOTH
def test_a_heartbeat_timeout_equal_to_the_default_still_counts_as_set(dialect: Dialect) -> None:
    assert server("heartbeat_timeout = 90\n", dialect)[0]["heartbeat_timeout_set"] is True
    assert server("", dialect)[0]["heartbeat_timeout_set"] is False


def test_a_heartbeat_timeout_without_a_value_is_not_set() -> None:
    assert server("heartbeat_timeout =\n")[0]["heartbeat_timeout_set"] is False


@pytest.mark.parametrize(("text", "seconds"), [("-5", 60), ("0", 60), ("1", 1), ("90", 90)])
def test_a_vhost_timeout_that_never_waits_becomes_the_default(text: str, seconds: int) -> None:
    assert server(f"vhost_http_timeout = {text}\n")[0]["vhost_http_timeout"] == seconds


def test_subdomain_host_is_compared_in_lower_case_without_blanks() -> None:
    values, _ = server("subdomain_host = ' Apps.Example.TEST '\n")
    assert values["subdomain_host"] == "apps.example.test"


@BOTH
@pytest.mark.parametrize(
    ("text", "networks"),
    [
        ("10.0.0.5, 192.0.2.0/28,2001:db8::/32", ("10.0.0.5", "192.0.2.0/28", "2001:db8::/32")),
        ("", ()),
    ],
)
def test_balancers_are_networks_or_addresses(
    dialect: Dialect, text: str, networks: tuple[str, ...]
) -> None:
    values, opened = server(f"accept_proxy_protocol = {text}", dialect)
    assert values["accept_proxy_protocol"] == networks
    assert not opened.errors


@pytest.mark.parametrize("text", ["10.0.0.5/8", "balancer.example", "10.0.0.0/33", "10.0.0.5,,::1"])
def test_what_is_no_network_is_an_error(text: str) -> None:
    _, opened = server(f"accept_proxy_protocol = {text}")
    assert "accepted: networks and addresses" in opened.errors[0]


@pytest.mark.parametrize("key", ["allow_cidrs", "deny_cidrs"])
def test_lists_of_visitors_are_networks_and_not_too_many(key: str) -> None:
    assert proxy(f"local_port = 1\n{key} = 192.0.2.0/24, ::1", "tcp") == []
    [error] = proxy(f"local_port = 1\n{key} = everybody", "tcp")
    assert "accepted: networks and addresses" in error
    [error] = proxy(f"local_port = 1\n{key} = {', '.join(['192.0.2.1'] * 101)}", "tcp")
    assert "101 networks; accepted: 100 at most" in error


@pytest.mark.parametrize("ca", ["/ca", ""])
def test_an_authority_for_clients_demands_tls_of_them(ca: str) -> None:
    assert server(f"tls_trusted_ca_file = {ca}\n")[0]["tls_only"] is bool(ca)


def test_dashboard_tls_names_each_file_that_is_missing() -> None:
    _, opened = server("dashboard_tls_mode = true\ndashboard_tls_key_file =\n")
    wanted = "missing; dashboard_tls_mode needs the path of a file here"
    assert opened.errors == [
        f"x.ini:1 [common] dashboard_tls_cert_file: {wanted}",
        f"x.ini:3 [common] dashboard_tls_key_file: {wanted}",
    ]
    files = "dashboard_tls_cert_file = /c\ndashboard_tls_key_file = /k\n"
    assert server(f"dashboard_tls_mode = true\n{files}")[1].errors == []
    assert server("dashboard_tls_mode = false\n")[1].errors == []


HTTP_PROXY = "http://u:hunter2@h:1"


@pytest.mark.parametrize(
    ("text", "dialect", "expected"),
    [
        ("", NEW, "http://h:1"),
        ("", OLD, "http://h:1"),
        ("http_proxy =\n", NEW, "http://h:1"),
        ("http_proxy =\n", OLD, "None"),
        ("http_proxy = http://own:1\n", NEW, "http://own:1"),
        ("http_proxy = http://own:1\n", OLD, "http://own:1"),
    ],
)
def test_http_proxy_of_the_environment_fills_a_gap(
    text: str, dialect: Dialect, expected: str
) -> None:
    values, opened = client(text, dialect, {"http_proxy": HTTP_PROXY})
    assert str(values["upstream"]) == expected
    assert "hunter2" not in f"{values}{opened.warnings}"


@BOTH
@pytest.mark.parametrize("protocol", BY_DATAGRAMS)
def test_a_proxy_is_for_tcp_alone(dialect: Dialect, protocol: str) -> None:
    values, opened = client(
        f"protocol = {protocol}\nhttp_proxy = {HTTP_PROXY}\n", dialect, {"http_proxy": HTTP_PROXY}
    )
    assert values["upstream"] is None
    [warning] = [text for text in opened.warnings if "http_proxy" in text]
    assert f"not used with protocol = {protocol}" in warning
    assert "hunter2" not in warning
    values, opened = client(f"protocol = {protocol}\n", dialect, {"http_proxy": HTTP_PROXY})
    assert values["upstream"] is None
    assert not any("http_proxy" in text for text in opened.warnings)


@BOTH
def test_a_proxy_that_cannot_be_used_is_an_error_without_its_password(dialect: Dialect) -> None:
    _, opened = client("http_proxy = gopher://u:hunter2@h\n", dialect)
    [error] = opened.errors
    assert error.startswith("x.ini:2 [common] http_proxy: gopher:// is no proxy")
    assert "hunter2" not in error
    _, opened = client("", dialect, {"all_proxy": "socks5://u:hunter2@h:0"})
    [error] = opened.errors
    assert "environment variable all_proxy" in error


@BOTH
def test_a_pong_must_be_given_as_long_as_the_next_ping(dialect: Dialect) -> None:
    _, opened = client("heartbeat_interval = 30\n\nheartbeat_timeout = 29\n", dialect)
    assert opened.errors == [
        "x.ini:4 [common] heartbeat_timeout: 29 is below heartbeat_interval; accepted: 30 or more"
    ]


@BOTH
@pytest.mark.parametrize("timeout", ["30", "0", "-1"])
def test_a_timeout_that_is_as_long_or_off_fits(dialect: Dialect, timeout: str) -> None:
    assert client(f"heartbeat_timeout = {timeout}\n", dialect)[1].silent


@pytest.mark.parametrize("interval", ["0", "-1"])
def test_only_old_demands_pings(interval: str) -> None:
    text = f"heartbeat_interval = {interval}\n"
    assert client(text, NEW)[1].silent
    assert client(text, OLD)[1].errors == [
        f"x.ini:2 [common] heartbeat_interval: {interval} cannot be used; accepted: 1 or more"
    ]


def test_a_local_port_error_stands_at_the_key_or_else_at_the_section() -> None:
    accepted = "accepted: 1 to 65535, or a plugin that serves"
    assert proxy("\nlocal_port = 0\n", "stcp") == [
        f"x.ini:3 [a] local_port: 0 is no port; {accepted}"
    ]
    assert proxy("\n", "stcp") == [f"x.ini:1 [a] local_port: missing; {accepted}"]
    assert proxy("plugin = socks5\n", "stcp") == []


@pytest.mark.parametrize("proxy_type", ["tcp", "udp"])
def test_old_wants_remote_port_written_even_when_it_is_0(proxy_type: str) -> None:
    text = "local_port = 1\n"
    assert proxy(text, proxy_type, OLD) == [
        "x.ini:1 [a] remote_port: missing; accepted: a port, or 0 to let frps pick one"
    ]
    assert proxy(f"{text}remote_port = 0\n", proxy_type, OLD) == []
    assert proxy(text, proxy_type, NEW) == []


@BOTH
@pytest.mark.parametrize("proxy_type", ["stcp", "xtcp", "sudp"])
def test_a_secret_proxy_needs_no_place_at_the_server(proxy_type: str, dialect: Dialect) -> None:
    assert proxy("local_port = 1\n", proxy_type, dialect) == []


@BOTH
@pytest.mark.parametrize("proxy_type", ["http", "https", "tcpmux"])
def test_a_proxy_by_name_needs_one_of_two_names(proxy_type: str, dialect: Dialect) -> None:
    text = "local_port = 1\n" + ("multiplexer = httpconnect\n" if proxy_type == "tcpmux" else "")
    assert proxy(text, proxy_type, dialect) == [
        "x.ini:1 [a] custom_domains: missing; custom_domains or subdomain must be set"
    ]
    assert proxy(f"{text}custom_domains = a.test\n", proxy_type, dialect) == []
    assert proxy(f"{text}subdomain = a\n", proxy_type, dialect) == []


def test_all_that_a_section_lacks_is_told_at_once() -> None:
    keys = [error.split()[2] for error in proxy("health_check_type = http\n", "tcpmux")]
    assert keys == ["local_port:", "health_check_url:", "custom_domains:", "multiplexer:"]


def test_only_an_http_check_needs_a_path() -> None:
    assert proxy("local_port = 1\nhealth_check_type = tcp\n", "tcp") == []


@pytest.mark.parametrize(
    ("port", "visitor_type", "dialect", "fits"),
    [
        ("9000", "stcp", OLD, True),
        ("9000", "sudp", NEW, True),
        ("-1", "stcp", NEW, True),
        ("-1", "xtcp", NEW, True),
        ("-1", "stcp", OLD, False),
        ("-1", "sudp", NEW, False),
        ("0", "xtcp", NEW, False),
        ("0", "stcp", OLD, False),
    ],
)
def test_a_visitor_listens_unless_new_makes_it_a_fallback(
    port: str, visitor_type: str, dialect: Dialect, fits: bool
) -> None:
    errors = visitor(f"server_name = s\nbind_port = {port}\n", visitor_type, dialect)
    refusal = f"x.ini:3 [v] bind_port: {port} is no port; accepted: 1 to 65535"
    assert errors == ([] if fits else [refusal])


def test_a_visitor_without_keys_is_told_what_it_lacks() -> None:
    assert visitor("", "stcp") == [
        "x.ini:1 [v] server_name: missing; it names the proxy to visit, without its user",
        "x.ini:1 [v] bind_port: missing; accepted: 1 to 65535",
    ]


@pytest.mark.parametrize("load", [load_server, load_client], ids=["frps", "frpc"])
def test_a_token_may_lie_in_a_file_of_its_own(tmp_path: Path, load: Any) -> None:
    file, token = tmp_path / "frp.ini", tmp_path / "token"
    file.write_text(f"[common]\ntoken_file = {token}\n")
    with pytest.raises(ConfigError, match=f"token_file: cannot read {token}: No such file"):
        load(str(file), environ={})
    token.write_text("\n")
    with pytest.raises(ConfigError, match=f"token_file: {token} has 1 bytes"):
        load(str(file), environ={})
    token.write_text("s#c;r=t\n")
    value = load(str(file), environ={}).value
    assert getattr(value, "common", value).token.reveal() == "s#c;r=t"
    file.write_text(f"[common]\ntoken = x\ntoken_file = {token}\n")
    with pytest.raises(ConfigError, match="token is set as well"):
        load(str(file), environ={})


@pytest.mark.parametrize(
    ("addr", "path"), [("127.0.0.1[:9000", "/"), ("127.0.0.1:9000", "[/"), ("a:99999", "/")]
)
def test_a_plugin_s_address_that_is_none_is_an_error(tmp_path: Path, addr: str, path: str) -> None:
    file = tmp_path / "frps.ini"
    file.write_text(f"[common]\n[plugin.a]\naddr = {addr}\npath = {path}\nops = Login\n")
    with pytest.raises(ConfigError, match="cannot be asked; accepted: host:port"):
        load_server(str(file))
