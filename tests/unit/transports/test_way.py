"""Way: TLS comes with frp's head byte, and only if it was asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from frpd.transports.layers import Layer
from tests.helpers.world import World
from tests.unit.transports.test_over_tcp import bare_way


@pytest.mark.parametrize("enabled", [True, False])
def test_tls_is_the_innermost_layer_if_it_is_enabled(world: World, enabled: bool) -> None:
    asked: list[bool] = []

    class Tls:
        begin = None

    def make(may_announce: bool) -> Layer:
        asked.append(may_announce)
        return Tls()  # type: ignore[return-value] # it is only counted

    way = replace(bare_way(world), make_tls=make, tls_enable=enabled)
    assert len(way.tls_layers()) == enabled
    assert asked == [True] * enabled
