"""tcpmux proxies: what they ask for and cannot have. Visitors: vhost/test_connect_host."""

from __future__ import annotations

import pytest

from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.server.house import House

WITHOUT_PORT = (
    "proxy [p] type [tcpmux] with multiplexer [httpconnect] requires"
    " tcpmux_httpconnect_port configuration"
)


@pytest.mark.parametrize(
    ("has_port", "multiplexer", "error"),
    [
        (
            False,
            "httpconnect",
            WITHOUT_PORT,
        ),
        (True, "tls", "proxy [p] incorrect multiplexer [tls]"),
        (True, "", "proxy [p] incorrect multiplexer []"),
    ],
)
def test_what_cannot_be_is_refused_in_frp_s_words(
    world: World, has_port: bool, multiplexer: str, error: str
) -> None:
    house = House(world, tcpmux_httpconnect_port=free_port() if has_port else 0)
    answer = house.client().new_proxy(
        "p", 0, "tcpmux", multiplexer=multiplexer, custom_domains=["a.example.com"]
    )
    assert answer.error == error
