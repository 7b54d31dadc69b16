"""frpd.cli.unserved: what is understood and not served yet is named, and nothing else is."""

from __future__ import annotations

import pytest

from frpd.cli.unserved import client_refusals, client_warnings, server_warnings
from frpd.config.client import ClientConfig, ClientSetup
from frpd.config.secret import Secret
from frpd.config.server import ServerConfig
from frpd.config.visitors import VISITORS


def test_a_plain_configuration_is_served_in_full() -> None:
    assert list(server_warnings(ServerConfig())) == []
    assert list(client_warnings(ClientSetup(common=ClientConfig()))) == []
    assert list(client_refusals(ClientSetup(common=ClientConfig()))) == []


def test_each_port_that_nobody_listens_on_is_named() -> None:
    config = ServerConfig(dashboard_port=7500, vhost_http_port=80)
    http, dashboard = server_warnings(config)
    assert http.startswith("[common] vhost_http_port has no effect: ")
    assert dashboard.startswith("[common] dashboard_port has no effect: ")


def test_an_admin_port_an_upstream_proxy_and_visitors_are_named() -> None:
    common = ClientConfig(admin_port=7400, http_proxy=Secret("http://user:word@host:1"))
    visitor = VISITORS["stcp"](section="peer", name="peer", server_name="x", bind_port=1)
    warnings = list(client_warnings(ClientSetup(common=common, visitors=(visitor,))))
    starts = ("[common] admin_port", "http_proxy", "[peer] is not started")
    assert all(text.startswith(start) for text, start in zip(warnings, starts, strict=True))
    assert not any("word" in text for text in warnings)


@pytest.mark.parametrize("protocol", ["kcp", "websocket", "quic", "wss"])
def test_a_carrier_that_we_do_not_have_is_refused(protocol: str) -> None:
    setup = ClientSetup(common=ClientConfig(protocol=protocol))
    (refusal,) = client_refusals(setup)
    assert refusal == f"[common] protocol: '{protocol}' cannot be used yet; accepted: tcp"
