"""Until when certificates are good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from frpd.cli.doctor.case import Case
from frpd.cli.doctor.certificates import (
    DAY_SECONDS,
    check_certificates,
    judge_end,
    named_files,
)
from frpd.cli.doctor.finding import Verdict
from frpd.config.client import ClientConfig
from frpd.config.server import ServerConfig
from frpd.net.certificates import own_certificate

NOW = 1_700_000_000


@pytest.mark.parametrize(
    ("days", "verdict"),
    [(-1, Verdict.FAULT), (0, Verdict.FAULT), (13, Verdict.WARNING), (15, Verdict.OK)],
)
def test_what_has_expired_is_a_fault_and_what_is_about_to_a_warning(
    days: int, verdict: Verdict
) -> None:
    finding = judge_end("tls_cert_file", "c.pem", days * DAY_SECONDS)
    assert finding.verdict is verdict
    assert ("renew" in finding.remedy) == (verdict is not Verdict.OK)


def test_only_what_is_used_counts() -> None:
    pair: dict[str, Any] = {"tls_cert_file": "c.pem", "tls_key_file": "k.pem"}
    assert [key for key, _ in named_files(ServerConfig(**pair))] == ["tls_cert_file"]
    assert list(named_files(ServerConfig(tls_cert_file="c.pem"))) == []
    assert list(named_files(ClientConfig(**pair))) == []
    assert [key for key, _ in named_files(ClientConfig(**pair, tls_enable=True))] == [
        "tls_cert_file"
    ]
    dashboard = ServerConfig(dashboard_tls_mode=True, dashboard_tls_cert_file="d.pem")
    assert [key for key, _ in named_files(dashboard)] == ["dashboard_tls_cert_file"]


def test_a_file_is_read_and_one_that_is_not_there_left_to_others(tmp_path: Path) -> None:
    path = tmp_path / "own.pem"
    path.write_bytes(own_certificate(NOW))
    case = Case("frps", now_unix=lambda: NOW + 11 * 365 * DAY_SECONDS)
    case.server = ServerConfig(
        tls_cert_file=str(path), tls_key_file=str(path), tls_trusted_ca_file="/no/such/file"
    )
    (finding,) = check_certificates(case)
    assert finding.verdict is Verdict.FAULT
    assert list(check_certificates(Case("frps"))) == []
