"""What the http virtual hosts keep to, out of the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from frpd.config.server import ServerConfig
from frpd.proto.http.head import Limits


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Bounds of size and time."""

    head: Limits = field(default_factory=Limits)
    head_seconds: float = 20.0
    """For a head to come, and for the first bytes of a connection."""
    body_seconds: float = 60.0
    """A pause in a request's body; and of who has ended its direction, in the answer."""
    idle_seconds: float = 75.0
    """Between an answer and the next request."""
    answer_seconds: float = 60.0
    """From the end of a request to the answer's head."""


def http_limits(config: ServerConfig) -> HttpLimits:
    """Return what the operator has set."""
    return HttpLimits(
        head=Limits(
            head_bytes=config.vhost_http_max_head_bytes,
            field_count=config.vhost_http_max_headers,
        ),
        head_seconds=config.vhost_http_head_timeout,
        body_seconds=config.vhost_http_body_timeout,
        idle_seconds=config.vhost_http_idle_timeout,
        answer_seconds=float(config.vhost_http_timeout),
    )
