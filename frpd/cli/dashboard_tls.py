"""HTTPS of the dashboard: its certificate and key, at a start and for ``verify``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from frpd.config.server import ServerConfig
from frpd.errors import ConfigError

if TYPE_CHECKING:
    from frpd.transports.layers import Layer


def dashboard_tls(config: ServerConfig, now: Callable[[], float]) -> Layer | None:
    """Return what goes around the dashboard's port, if anything.

    Args:
        config: checked.
        now: of the loop's clock; files that change are read again.

    Raises:
        ConfigError: certificate or key cannot be used.
    """
    if not (config.dashboard_port and config.dashboard_tls_mode):
        return None
    # Importing ssl costs a tenth of the start, so only who uses TLS pays.
    from frpd.net.certificates import server_contexts  # noqa: PLC0415
    from frpd.transports.tls import TlsServerLayer  # noqa: PLC0415

    files = config.dashboard_tls_cert_file, config.dashboard_tls_key_file
    try:
        return TlsServerLayer(server_contexts(*files, "", now=now))
    except ConfigError as error:
        key = error.key and f"dashboard_{error.key}"
        raise ConfigError(error.message, key=key) from error
