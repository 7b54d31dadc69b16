"""What clients may wrap: made when first needed, but wrong files are told at the start."""

from __future__ import annotations

from dataclasses import replace

import pytest

from frpd.config.server import ServerConfig
from frpd.errors import ConfigError
from frpd.net.endpoint import Endpoint
from frpd.net.handshakes import HandshakeQueue
from frpd.server.layers import LateLayer, client_layers, has_files
from frpd.transports.base import Dialing, OnEndpoint, OnFailed
from frpd.transports.layers import Layer
from tests.helpers.endpoint import ScriptedEndpoint
from tests.helpers.world import World


class Counting:
    """A layer that begins, and no more."""

    made = 0

    def __init__(self) -> None:
        Counting.made += 1
        self.begun = 0

    def begin(self, endpoint: Endpoint, on_ready: OnEndpoint, on_failed: OnFailed) -> Dialing:
        self.begun += 1
        return self

    def cancel(self) -> None:
        """Nothing is under way."""


def test_a_late_layer_is_made_once_and_not_before_it_is_needed(world: World) -> None:
    Counting.made = 0
    layer: Layer = LateLayer(Counting)
    assert Counting.made == 0
    endpoint = ScriptedEndpoint(world.loop)
    layer.begin(endpoint, lambda _endpoint: None, lambda _error: None)
    begun = layer.begin(endpoint, lambda _endpoint: None, lambda _error: None)
    assert isinstance(begun, Counting)
    assert (Counting.made, begun.begun) == (1, 2)


def test_both_are_there_without_any_setting(world: World) -> None:
    layers = client_layers(world.loop, ServerConfig(), HandshakeQueue(world.loop))
    assert sorted(layers) == ["tls", "websocket"]
    assert all(isinstance(layer, LateLayer) for layer in layers.values())


@pytest.mark.parametrize("key", ["tls_cert_file", "tls_trusted_ca_file"])
def test_a_file_that_cannot_be_used_is_told_at_the_start(world: World, key: str) -> None:
    config = replace(ServerConfig(), tls_key_file="/no", **{key: "/nowhere/x.pem"})  # type: ignore[arg-type] # paths
    with pytest.raises(ConfigError, match=key):
        client_layers(world.loop, config, HandshakeQueue(world.loop))


def test_any_file_of_tls_is_one() -> None:
    assert not has_files(ServerConfig())
    assert has_files(ServerConfig(tls_trusted_ca_file="/ca.pem"))
