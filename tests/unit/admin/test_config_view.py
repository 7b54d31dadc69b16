"""frpd.admin.config_view: what was loaded, and no secret of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from frpd.admin.config_view import MASK, client_view, server_view, text_of
from frpd.config.client import ClientConfig, ClientSetup
from frpd.config.fields import (
    CLIENT,
    PLUGINS,
    PROXY,
    PROXY_TYPES,
    SERVER,
    USER,
    VISITOR,
    VISITOR_TYPES,
)
from frpd.config.kinds import Field, Kind
from frpd.config.params import Params
from frpd.config.ports import PortSet
from frpd.config.proxies import PROXIES
from frpd.config.secret import Secret
from frpd.config.server import ServerConfig
from frpd.config.users import UserConfig
from frpd.config.visitors import VISITORS

HIDDEN = "s3cr3t"


def hidden(rows: Iterable[Field]) -> dict[str, Any]:
    """Return attributes of all secrets and of all free-form keys of some rows."""
    values: dict[str, Any] = {}
    for row in rows:
        if row.kind is Kind.SECRET:
            values[row.attribute] = Secret(HIDDEN)
        elif row.kind is Kind.MAP:
            values[row.attribute] = Params({"key": HIDDEN})
    return values


def only(values: dict[str, Any], config: type) -> dict[str, Any]:
    """Leave out leftovers: keys that the table knows and the program does not."""
    known = {name for one in config.__mro__ for name in getattr(one, "__annotations__", {})}
    return {name: value for name, value in values.items() if name in known}


def row_of(view: dict[str, Any], key: str) -> dict[str, Any]:
    (row,) = (row for row in view["settings"] if row["key"] == key)
    return dict(row)


def client(**sections: Any) -> dict[str, Any]:
    return client_view(ClientConfig(), ClientSetup(common=ClientConfig(), **sections))


def test_no_secret_of_a_server_is_shown() -> None:
    values = only(hidden(SERVER), ServerConfig)
    assert set(values) >= {"token", "dashboard_pwd"}
    view = server_view(ServerConfig(**values))
    assert HIDDEN not in json.dumps(view)
    for key in values:
        assert row_of(view, key)["value"] == MASK


def test_no_token_of_a_user_is_shown() -> None:
    user = UserConfig(name="ann", allow_domains=("a.example", "*.b.example"), **hidden(USER))
    view: dict[str, Any] = server_view(ServerConfig(users=(user,)))
    assert HIDDEN not in json.dumps(view)
    rows = {row["key"]: row for row in view["users"]["user.ann"]}
    assert (rows["token"]["value"], rows["token"]["live"]) == (MASK, True)
    assert rows["allow_domains"]["value"] == "a.example,*.b.example"


def test_no_secret_of_a_client_is_shown() -> None:
    values = only(hidden(CLIENT), ClientConfig)
    assert set(values) >= {"token", "admin_pwd", "http_proxy", "oidc_client_secret", "metas"}
    common = ClientConfig(**values)
    view = client_view(common, ClientSetup(common=common))
    assert HIDDEN not in json.dumps(view)
    assert MASK in json.dumps(view)


@pytest.mark.parametrize("kind", PROXIES)
def test_no_secret_of_a_proxy_is_shown(kind: str) -> None:
    values = hidden((*PROXY, *PROXY_TYPES[kind]))
    proxy = PROXIES[kind](name="u.p", section="p", **only(values, PROXIES[kind]))
    view = client(proxies=(proxy,))
    assert HIDDEN not in json.dumps(view)
    assert view["proxies"]["p"][0]["value"] == kind


@pytest.mark.parametrize("kind", VISITORS)
def test_no_secret_of_a_visitor_is_shown(kind: str) -> None:
    values = only(hidden((*VISITOR, *VISITOR_TYPES[kind])), VISITORS[kind])
    visitor = VISITORS[kind](name="v", section="v", server_name="s", **values)
    assert HIDDEN not in json.dumps(client(visitors=(visitor,)))


@pytest.mark.parametrize("plugin", PLUGINS)
def test_no_secret_of_a_plugin_is_shown_but_what_is_none(plugin: str) -> None:
    params = {
        row.name: HIDDEN if row.kind in (Kind.SECRET, Kind.MAP) else "plain"
        for row in PLUGINS[plugin]
    } | {"plugin_header_Authorization": HIDDEN, "plugin_unknown": HIDDEN}
    proxy = PROXIES["tcp"](name="p", section="p", plugin=plugin, plugin_params=Params(params))
    rows = {row["key"]: row["value"] for row in client(proxies=(proxy,))["proxies"]["p"]}
    assert HIDDEN not in rows.values()
    for row in PLUGINS[plugin]:
        assert rows[row.name] == (MASK if row.kind in (Kind.SECRET, Kind.MAP) else "plain")


def test_a_setting_says_what_it_is_and_whether_a_reload_honours_it() -> None:
    view = server_view(ServerConfig(bind_port=7001, log_level="debug"))
    assert row_of(view, "bind_port") == {
        "section": "common",
        "key": "bind_port",
        "value": "7001",
        "default": "7000",
        "is_set": True,
        "live": False,
        "doc": "Port that frpc connects to.",
    }
    assert (row_of(view, "log_level")["live"], row_of(view, "token")["is_set"]) == (True, False)


def test_a_key_that_follows_another_one_is_not_set() -> None:
    config = ServerConfig(bind_addr="10.0.0.1", proxy_bind_addr="10.0.0.1", dashboard_addr="::1")
    row = row_of(server_view(config), "proxy_bind_addr")
    assert (row["value"], row["default"], row["is_set"]) == ("10.0.0.1", "bind_addr", False)
    assert row_of(server_view(config), "dashboard_addr")["is_set"]


def test_values_read_as_in_a_file() -> None:
    view = server_view(ServerConfig(allow_ports=PortSet.parse("1-2,9"), tls_only=True))
    assert row_of(view, "allow_ports")["value"] == "1-2,9"
    assert row_of(view, "tls_only")["value"] == "true"
    assert row_of(view, "login_timeout_seconds")["value"] == "10"
    start = next(row for row in CLIENT if row.name == "start")
    assert text_of(start, ("a", "b")) == "a,b"
    url = next(row for row in CLIENT if row.name == "oidc_token_endpoint_url")
    assert text_of(url, "https://me:pw@id.example/t") == f"https://{MASK}@id.example/t"
