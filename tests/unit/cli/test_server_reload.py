"""frpd.cli.server_reload: keys become those of the file, or nothing does."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from frpd import log
from frpd.admin.reload import ReloadReport
from frpd.cli.config_file import ConfigFile
from frpd.cli.server_reload import ServerReload
from frpd.config.server import ServerConfig
from frpd.entropy import SystemEntropy
from frpd.server.service import Service
from tests.helpers.ports import free_port
from tests.helpers.programs import ini
from tests.helpers.world import World

TOKEN = "old-secret"


class Office:
    """A server that was made from a file, and its reload."""

    def __init__(self, world: World, path: Path) -> None:
        self.world = world
        self.path = path
        self.keys: dict[str, object] = {
            "bind_addr": "127.0.0.1",
            "bind_port": free_port(),
            "token": TOKEN,
        }
        self.write()
        file = ConfigFile.named(str(path), None)
        config = file.load_server().value
        self.service = Service(world.loop, world.pool, config, SystemEntropy())
        world.owners.callback(self.service.close)
        self.service.listen()
        self.reload = ServerReload(world.loop, world.pool, self.service, file)
        self.reports: list[ReloadReport] = []

    def write(self, **keys: object) -> None:
        self.path.write_text(ini({"common": self.keys | keys}))

    def again(self, *, strict: bool = False) -> ReloadReport:
        """Reload and return the report."""
        self.reload(strict, self.reports.append)
        self.world.until(lambda: self.reports)
        return self.reports.pop()

    @property
    def config(self) -> ServerConfig:
        return self.service.config


@pytest.fixture
def office(world: World, tmp_path: Path) -> Office:
    return Office(world, tmp_path / "frps.ini")


def test_the_report_names_keys_and_shows_no_values(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    office.write(token="new-secret", allow_ports="6000-6001", bind_port=7001, log_file="x.log")
    report = office.again()
    assert report == ReloadReport(
        changed=("token", "allow_ports"),
        unchanged=report.unchanged,
        not_live=("bind_port", "log_file"),
    )
    assert [record.getMessage() for record in caplog.records] == [
        "success reload conf",
        "changed in [common]: [token allow_ports]",
        "[common] bind_port, log_file: changed in the file, needs a restart",
    ]
    assert "secret" not in f"{report}{caplog.text}"
    assert office.config.token.reveal() == "new-secret"
    report = office.again()
    assert (report.changed, report.not_live) == ((), ("bind_port", "log_file"))
    office.write(token="new-secret")
    assert office.again().not_live == ()


@pytest.mark.parametrize(
    ("keys", "code", "error"),
    [
        ({"allow_ports": "9-1"}, 2, "range '9-1' is reversed"),
        ({"tls_trusted_ca_file": "/nowhere.pem"}, 1, "tls_trusted_ca_file"),
        ({"vhost_http_port": 1, "custom_404_page": "/nowhere"}, 1, "custom_404_page"),
    ],
)
def test_a_bad_file_changes_nothing_and_says_why(
    office: Office, keys: dict[str, object], code: int, error: str
) -> None:
    before = office.config
    office.write(token="new", **keys)
    report = office.again()
    assert error in report.error
    assert report.code == code
    assert office.config is before


def test_a_port_that_is_taken_changes_nothing(office: Office) -> None:
    before = office.config
    log.set_level("info")
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        office.write(token="new", vhost_http_port=port, log_level="debug")
        report = office.again()
    error = f"listen tcp 127.0.0.1:{port}: bind: address already in use"
    assert (report.error, report.code) == (error, 4)
    assert office.config is before
    assert log.level() == "info"


def test_a_missing_file_changes_nothing(office: Office) -> None:
    office.path.unlink()
    assert office.again().error == f"open {office.path}: no such file or directory"


def test_hooks_that_cannot_be_asked_are_refused_as_at_the_start(office: Office) -> None:
    office.path.write_text(f"{office.path.read_text()}\n[plugin.x]\naddr = http://\n")
    assert "cannot be asked" in office.again().error


def test_warnings_are_told_and_strict_makes_errors_of_them(office: Office) -> None:
    office.write(nonsense=1, max_pool_count=3, tcp_keepalive=7)
    report = office.again(strict=True)
    assert "nonsense" in report.error
    assert office.config.max_pool_count == 5
    report = office.again()
    assert len(report.warnings) == 1
    assert (report.changed, report.not_live) == (("max_pool_count",), ("tcp_keepalive",))


def test_proxies_outside_of_the_ports_are_a_warning(office: Office) -> None:
    office.service.proxy_desk.tcp_ports.acquire("web", 6000, 0.0, lambda port: port)
    office.write(allow_ports="7000")
    warning = "outside of allow_ports now, and left as they are: web (6000)"
    assert office.again().warnings == (warning,)


def test_the_level_of_the_log_is_live(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    monkeypatch.setattr(log, "set_max_days", kept.append)
    office.write(log_level="debug", log_max_days=9)
    assert office.again().changed == ("log_level", "log_max_days")
    assert (log.level(), kept) == ("debug", [9])


def test_a_hang_up_reloads(office: Office, world: World) -> None:
    office.write(max_pool_count=3)
    office.reload.hangup()
    world.until(lambda: office.config.max_pool_count == 3)


def test_a_plan_changes_nothing(world: World, office: Office) -> None:
    office.write(max_pool_count=9, bind_addr="127.0.0.2", log_level="error")
    level = log.level()
    office.reload.plan(False, None, office.reports.append)
    world.until(lambda: office.reports)
    report = office.reports.pop()
    assert set(report.changed) == {"max_pool_count", "log_level"}
    assert "bind_addr" in report.not_live
    assert (office.config.max_pool_count, log.level()) == (5, level)
    office.reload.plan(False, "[common]\nmax_pool_count = many\n", office.reports.append)
    world.until(lambda: office.reports)
    (warning,) = office.reports.pop().warnings
    assert warning.startswith(f"{office.path}:2 [common] max_pool_count")
