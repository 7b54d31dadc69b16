"""What the http virtual hosts keep to, out of the configuration."""

from __future__ import annotations

from frpd.config.server import ServerConfig
from frpd.http.limits import HttpLimits
from frpd.proto.http.head import Limits
from frpd.server.door import DoorLimits


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


def head_limits(config: ServerConfig) -> DoorLimits:
    """Return what visitors are held to whose heads are on their way."""
    return _door_limits(config, config.vhost_http_head_timeout)


def hello_limits(config: ServerConfig) -> DoorLimits:
    """Return what visitors are held to that have not said by TLS whom they want."""
    return _door_limits(config, config.vhost_https_hello_timeout)


def _door_limits(config: ServerConfig, timeout_seconds: float) -> DoorLimits:
    return DoorLimits(
        timeout_seconds=timeout_seconds,
        max_pending=config.max_pending_connections,
        max_pending_per_source=config.max_pending_per_source,
    )
