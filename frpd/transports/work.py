"""A work stream on its way from who opened it to who relays it."""

from __future__ import annotations

from dataclasses import dataclass

from frpd.net.endpoint import Endpoint
from frpd.proto.seal import StreamSeal


@dataclass(slots=True, eq=False)
class WorkStream:
    """A stream of the tunnel for one visitor."""

    endpoint: Endpoint
    seal: StreamSeal | None = None
    """Of a sealed session."""
