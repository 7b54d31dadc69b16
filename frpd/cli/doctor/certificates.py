"""Until when the certificates are good that the file names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Final

from frpd.cli.doctor.case import Case
from frpd.cli.doctor.finding import Finding, fault, ok, warning
from frpd.config.client import ClientConfig
from frpd.config.server import ServerConfig

DAY_SECONDS: Final = 86400
SOON_DAYS: Final = 14


def check_certificates(case: Case) -> Iterator[Finding]:
    """Look at each certificate."""
    config = case.server or (case.client and case.client.common)
    if not config:
        return
    for key, path in named_files(config):
        # Slow to import, and most have no certificates.
        from frpd.net.certificates import certificate_end  # noqa: PLC0415

        try:
            with open(path, "rb") as file:
                end = certificate_end(file.read())
        except OSError:
            continue  # the check of the file has said so
        if end is not None:
            yield judge_end(key, path, end - case.now_unix())


def named_files(config: ServerConfig | ClientConfig) -> Iterable[tuple[str, str]]:
    """Return key and path of each certificate that is used."""
    is_used = (
        bool(config.tls_cert_file and config.tls_key_file)
        if isinstance(config, ServerConfig)
        else config.has_tls
    )
    named = []
    if is_used and config.tls_key_file:
        named.append(("tls_cert_file", config.tls_cert_file))
    if is_used or isinstance(config, ServerConfig):
        named.append(("tls_trusted_ca_file", config.tls_trusted_ca_file))
    if isinstance(config, ServerConfig) and config.dashboard_tls_mode:
        named.append(("dashboard_tls_cert_file", config.dashboard_tls_cert_file))
    return [(key, os.path.abspath(path)) for key, path in named if path]


def judge_end(key: str, path: str, seconds_left: float) -> Finding:
    """Judge how long a certificate is good for."""
    days = int(abs(seconds_left) // DAY_SECONDS)
    remedy = f"renew {path}; it is read again by itself"
    if seconds_left <= 0:
        return fault(f"the certificate {path} ({key}) expired {days} days ago", remedy)
    if seconds_left < SOON_DAYS * DAY_SECONDS:
        return warning(f"the certificate {path} ({key}) expires in {days} days", remedy)
    return ok(f"the certificate {path} ({key}) is good for {days} days")
