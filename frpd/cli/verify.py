"""``verify``: check a file without running it, in frp's words."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from frpd.cli.complaints import open_to_others, print_refusals
from frpd.cli.config_file import ConfigFile
from frpd.cli.dashboard_tls import dashboard_tls
from frpd.cli.unserved import client_refusals, client_warnings
from frpd.config.client import ClientConfig, ClientSetup
from frpd.config.load import Loaded
from frpd.config.secret import Secret
from frpd.config.server import ServerConfig
from frpd.errors import ConfigError
from frpd.transports.over_udp import require_quic

Config = TypeVar("Config")

GOOD_TOKEN_BYTES = 16


def verify_server(path: str | None, *, dialect: str | None, strict: bool) -> int:
    """Check frps.ini; return the exit status."""

    def load(path: str) -> Loaded[ServerConfig]:
        loaded = checked_server(ConfigFile(path, dialect), strict=strict)
        return replace(loaded, warnings=(*loaded.warnings, *_weak_token(loaded.value.token)))

    return _verify("frps", path, load, strict=strict)


def verify_client(path: str | None, *, dialect: str | None, strict: bool) -> int:
    """Check frpc.ini; return the exit status."""

    def load(path: str) -> Loaded[ClientSetup]:
        loaded = checked_client(ConfigFile(path, dialect), strict=strict)
        token = loaded.value.common.token
        return replace(loaded, warnings=(*loaded.warnings, *_weak_token(token)))

    return _verify("frpc", path, load, strict=strict)


def checked_server(file: ConfigFile, *, strict: bool = False) -> Loaded[ServerConfig]:
    """Load frps.ini with all that can be said of it but for the token.

    Raises:
        ConfigError: it cannot be used, or what it names cannot.
    """
    loaded = file.load_server(strict=strict)
    _try_server_files(loaded.value)
    return loaded


def checked_client(file: ConfigFile, *, strict: bool = False) -> Loaded[ClientSetup]:
    """Load frpc.ini; as checked_server."""
    loaded = file.load_client(strict=strict)
    _try_client_files(loaded.value.common)
    return replace(
        loaded,
        warnings=(*loaded.warnings, *client_warnings(loaded.value)),
        refusals=(*loaded.refusals, *client_refusals(loaded.value)),
    )


def _try_server_files(config: ServerConfig) -> None:
    """Load the certificates as a start would; raises ConfigError."""
    files = config.tls_cert_file, config.tls_key_file, config.tls_trusted_ca_file
    if any(files):
        # Importing ssl takes longer than all else here, so only who uses TLS pays.
        from frpd.net.certificates import server_context  # noqa: PLC0415

        server_context(*files)
    if config.quic_bind_port:
        require_quic("quic_bind_port")
    if config.ssh_gateway_bind_port:
        # As above: only who has a gateway pays.
        from frpd.server.ssh_gateway.settings import load_settings  # noqa: PLC0415

        load_settings(config, os.environ, may_make=False)
    dashboard_tls(config, lambda: 0.0)


def _try_client_files(common: ClientConfig) -> None:
    """Load the certificates as a start would; raises ConfigError."""
    files = common.tls_cert_file, common.tls_key_file, common.tls_trusted_ca_file
    if any(files) and common.has_tls:
        # As above: only who uses TLS pays.
        from frpd.net.certificates import client_context  # noqa: PLC0415

        client_context(*files)


def _common(config: ServerConfig | ClientSetup) -> ServerConfig | ClientConfig:
    return config.common if isinstance(config, ClientSetup) else config


def _weak_token(token: Secret) -> Iterator[str]:
    """Whoever has recorded a login can try tokens at leisure; only length stands against that."""
    if 0 < len(token.reveal().encode("utf-8", "surrogateescape")) < GOOD_TOKEN_BYTES:
        yield (
            f"[common] token: shorter than {GOOD_TOKEN_BYTES} bytes, so who records a login can"
            " guess it; use a long random text"
        )


def _verify(
    program: str, path: str | None, load: Callable[[str], Loaded[Config]], *, strict: bool
) -> int:
    if path is None:
        print(f"{program}: the configuration file is not specified", flush=True)
        return 1
    try:
        loaded = load(path)
    except ConfigError as error:
        print(error, flush=True)
        return 1
    for warning in loaded.warnings:
        print(f"warning: {warning}", flush=True)
    # Of the machine, not of the file: no error under --strict, as before an installation.
    if isinstance(loaded.value, ServerConfig | ClientSetup):
        for warning in open_to_others(path, _common(loaded.value)):
            print(f"warning: {warning}", flush=True)
    if print_refusals(loaded) or (strict and loaded.warnings):
        return 1
    print(f"{program}: the configuration file {path} syntax is ok", flush=True)
    return 0
