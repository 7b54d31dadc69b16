"""What the http virtual hosts keep to, out of the configuration."""

from __future__ import annotations

from frpd.config.server import ServerConfig
from frpd.http.limits import HttpLimits
from frpd.proto.http.head import Limits


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
