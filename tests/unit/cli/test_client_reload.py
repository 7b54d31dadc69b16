"""frpd.cli.client_reload: the file is read on a worker, and what comes of it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from frpd import log
from frpd.admin.reload import ReloadReport
from frpd.cli.client_reload import ClientReload
from frpd.cli.config_file import ConfigFile
from frpd.client.proxy_table import Phase
from frpd.client.service import Service
from frpd.entropy import SystemEntropy
from frpd.net.connector import Connector
from frpd.net.resolver import Resolver
from tests.helpers.programs import ini
from tests.helpers.world import World

WEB = {"type": "tcp", "local_port": 80, "remote_port": 6000}
SSH = {"type": "tcp", "local_port": 22, "remote_port": 6001}
VAULT = {
    "type": "stcp",
    "role": "visitor",
    "server_name": "vault",
    "sk": "key",
    "bind_port": 9000,
}


class Office:
    """A client that was made from a file and has no session, and its reload."""

    def __init__(self, world: World, path: Path, **sections: Any) -> None:
        self.world = world
        self.path = path
        self.write(**sections)
        file = ConfigFile.named(str(path), None)
        setup = file.load_client().value
        self.service = Service(
            world.loop,
            world.pool,
            Connector(world.loop, Resolver(world.pool)),
            setup,
            SystemEntropy(),
            on_fatal=pytest.fail,
        )
        world.owners.callback(self.service.close)
        self.reload = ClientReload(world.pool, self.service, file, setup.common)
        self.reports: list[ReloadReport] = []

    def write(self, common: dict[str, object] | None = None, **sections: dict[str, object]) -> None:
        self.path.write_text(ini({"common": common or {}, **sections}))

    def again(self, *, strict: bool = False) -> ReloadReport:
        """Reload and return the report."""
        self.reload(strict, self.reports.append)
        self.world.until(lambda: self.reports)
        return self.reports.pop()

    @property
    def names(self) -> set[str]:
        return {*self.service.table.entries, *self.service.visitors.entries}


@pytest.fixture
def office(world: World, tmp_path: Path) -> Office:
    return Office(world, tmp_path / "frpc.ini", web=WEB, ssh=SSH)


def test_the_report_says_what_became_of_whom(office: Office) -> None:
    web = office.service.table.entries["web"]
    office.write(
        {"pool_count": 3, "token": "other"},
        mail={**WEB, "remote_port": 6002},
        vault_v=VAULT,
        web=WEB,
    )
    assert office.again() == ReloadReport(
        added=("mail", "vault_v"),
        removed=("ssh",),
        unchanged=1,
        not_live=("token", "pool_count"),
    )
    office.write({}, web=WEB, mail={**WEB, "remote_port": 6003}, vault_v={**VAULT, "sk": "new"})
    report = office.again()
    assert (report.changed, report.not_live) == (("mail", "vault_v"), ())
    assert office.service.table.entries["web"] is web
    assert office.names == {"web", "mail", "vault_v"}


def test_the_log_says_it_too(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    office.write({"server_port": 7001}, web={**WEB, "local_port": 81}, mail=SSH, vault_v=VAULT)
    office.again()
    assert [record.getMessage() for record in caplog.records] == [
        "success reload conf",
        "proxy removed: [ssh]",
        "proxy changed: [web]",
        "proxy added: [mail]",
        "visitor added: [vault_v]",
        "[common] server_port: changed in the file, needs a restart",
    ]


@pytest.mark.parametrize(
    ("text", "code", "error"),
    [
        ("[common\n", 1, "frpc.ini"),
        ("[common]\nserver_port = x\n", 2, "server_port"),
        ("[common]\n[web]\ntype = tcp\nlocal_port = x\nremote_port = 1\n", 3, "local_port"),
        ("[common]\nincludes = /nowhere/*.ini\n", 2, "directory of /nowhere/*.ini not exist"),
        ("[common]\nuser = {{ .Envs.NOBODY\n", 1, "frpc.ini"),
    ],
)
def test_a_bad_file_changes_nothing_and_says_why(
    office: Office, caplog: pytest.LogCaptureFixture, text: str, code: int, error: str
) -> None:
    before = dict(office.service.table.entries)
    office.path.write_text(text)
    report = office.again()
    assert error in report.error
    assert report.code == code
    assert office.service.table.entries == before
    assert "nothing was changed" in caplog.text
    assert report.error.splitlines()[0] in caplog.text


def test_a_missing_file_changes_nothing(office: Office) -> None:
    office.path.unlink()
    report = office.again()
    assert report.error == f"open {office.path}: no such file or directory"
    assert report.code == 1
    assert office.names == {"web", "ssh"}


def test_each_error_is_a_line_of_its_own(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    office.write({}, web={**WEB, "local_port": "x"}, ssh={**SSH, "remote_port": "y"})
    report = office.again()
    lines = report.error.splitlines()
    assert len(lines) > 1
    assert [record.getMessage() for record in caplog.records][1:] == lines


def test_warnings_are_told_and_strict_makes_errors_of_them(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.write({"nonsense": 1}, web=WEB)
    report = office.again(strict=True)
    assert "nonsense" in report.error
    assert office.names == {"web", "ssh"}
    report = office.again()
    assert len(report.warnings) == 1
    assert report.warnings[0] in caplog.text
    assert office.names == {"web"}


def test_strict_minds_what_has_no_effect(office: Office) -> None:
    visitor = {**VAULT, "type": "xtcp", "fallback_to": "nobody"}
    office.write({}, web=WEB, ssh=SSH, peer=visitor)
    assert "fallback_to = nobody has no effect" in office.again(strict=True).error
    assert office.names == {"web", "ssh"}


def test_start_is_honoured(office: Office) -> None:
    office.write({"start": "web"}, web=WEB, ssh=SSH)
    report = office.again()
    assert (report.removed, report.not_live) == (("ssh",), ())
    office.write({"start": "ssh"}, web=WEB, ssh=SSH)
    report = office.again()
    assert (report.added, report.removed) == (("ssh",), ("web",))


def test_includes_are_read_again_from_the_folder_of_the_start(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = tmp_path / "more"
    more.mkdir()
    (more / "mail.ini").write_text(ini({"mail": WEB}))
    monkeypatch.chdir(tmp_path)
    file = ConfigFile.named("frpc.ini", None)
    monkeypatch.chdir("/")
    office.write({"includes": "./more/*.ini"})
    assert [proxy.name for proxy in file.load_client().value.proxies] == ["mail"]
    office.write({"includes": f"{more}/*.ini"}, web=WEB, ssh=SSH)
    assert office.again().added == ("mail",)
    (more / "mail.ini").unlink()
    assert office.again().removed == ("mail",)


def test_templates_are_rendered_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRPD_TEST_PORT", "81")
    office.write({}, web={**WEB, "local_port": "{{ .Envs.FRPD_TEST_PORT }}"}, ssh=SSH)
    assert office.again().changed == ("web",)
    assert office.again().unchanged == 2


def test_the_level_of_the_log_is_live(office: Office) -> None:
    log.set_level("info")
    office.write({"log_level": "debug"}, web=WEB, ssh=SSH)
    assert office.again().not_live == ()
    assert log.level() == "debug"
    log.set_level("error")  # by the API, which lasts until the next reload
    office.again()
    assert log.level() == "debug"


def test_an_unknown_level_is_what_it_is_at_the_start(office: Office) -> None:
    office.write({"log_level": "loud"}, web=WEB, ssh=SSH)
    assert not office.again().error
    assert log.level() == "warn"


def test_without_a_worker_nothing_changes(office: Office) -> None:
    office.write({}, web=WEB)
    office.world.pool.close()
    assert office.again().error == "the worker pool is closed"
    assert office.names == {"web", "ssh"}


def test_a_client_that_stops_is_left_alone(office: Office) -> None:
    office.service.shut_down(lambda: None)
    office.write({}, web=WEB)
    report = office.again()
    assert (report.error, report.code) == ("frpc is stopping", 4)


def test_a_hang_up_reloads(office: Office, world: World) -> None:
    office.write({}, mail=WEB)
    office.reload.hangup()
    world.until(lambda: office.names == {"mail"})
    assert office.service.table.entries["mail"].phase is Phase.NEW


def test_a_plan_changes_nothing(world: World, office: Office) -> None:
    text = ini({"common": {"pool_count": 3}, "web": {**WEB, "local_port": 81}, "vault": VAULT})
    office.reload.plan(False, text, office.reports.append)
    world.until(lambda: office.reports)
    report = office.reports.pop()
    assert (report.added, report.removed, report.changed) == (("vault",), ("ssh",), ("web",))
    assert (report.unchanged, report.not_live) == (0, ("pool_count",))
    assert office.names == {"web", "ssh"}
