"""Both ends of a connection, taken through layers at the same time."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from frpd.errors import TransportError
from frpd.net.endpoint import Endpoint
from frpd.transports.layers import Layer
from tests.helpers.world import World


class Climb:
    """One end on its way through its layers, the outermost first.

    Attributes:
        endpoint: the innermost, or the one whose layer failed.
        failed: why.
    """

    def __init__(self, endpoint: Endpoint, layers: Sequence[Layer]) -> None:
        self.endpoint = endpoint
        self.failed = ""
        self._left = list(layers)
        self._next()

    @property
    def is_over(self) -> bool:
        return bool(self.failed) or not self._left

    def _next(self) -> None:
        if self._left:
            self._left[0].begin(self.endpoint, self._ready, self._layer_failed)

    def _ready(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._left.pop(0)
        self._next()

    def _layer_failed(self, error: TransportError) -> None:
        self.failed = str(error)


def climb(
    world: World,
    client_layers: Sequence[Layer],
    server_layers: Sequence[Layer],
    *,
    buffer_bytes: int = 0,
) -> tuple[Climb, Climb]:
    """Return both ends of a new connection, through their layers or failed.

    Args:
        world: where they live.
        client_layers: of the first.
        server_layers: of the second.
        buffer_bytes: what the kernel may hold; 0 leaves that to it.
    """
    near, far = world.endpoints()
    if buffer_bytes:
        for end in (near, far):
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                end._sock.setsockopt(socket.SOL_SOCKET, option, buffer_bytes)
    ends = Climb(near, client_layers), Climb(far, server_layers)
    world.until(lambda: all(end.is_over for end in ends), "the handshakes")
    return ends


def climbed(
    world: World,
    client_layers: Sequence[Layer],
    server_layers: Sequence[Layer],
    *,
    buffer_bytes: int = 0,
) -> tuple[Endpoint, Endpoint]:
    """Return both endpoints of a connection whose handshakes must not fail."""
    client, server = climb(world, client_layers, server_layers, buffer_bytes=buffer_bytes)
    assert (client.failed, server.failed) == ("", "")
    return client.endpoint, server.endpoint
