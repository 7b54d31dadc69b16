"""frpd.admin.frpc.config: the file, its token, and how it is replaced."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from frpd.admin.access import ControlGate
from frpd.admin.frpc.config import to_check, with_token_of, without_token
from frpd.admin.frpc_api import frpc_app
from frpd.admin.reload import ReloadReport
from frpd.cli.config_file import ConfigFile
from frpd.config.load_client import load_client_common
from frpd.errors import ConfigError
from tests.helpers.world import World
from tests.unit.admin.frpc.desk import Desk
from tests.unit.admin.wsgi import Caller

OLD = "[common]\nserver_addr = a\n  token = k9$Qz\n\n[web]\nlocal_port = 1\n"
NEW = "# mine\n[common]\nserver_addr = b\ntoken = forged\n[web]\nlocal_port = 2\n"


def test_the_text_comes_without_its_token() -> None:
    assert without_token(OLD) == "[common]\nserver_addr = a\n\n[web]\nlocal_port = 1\n"


def test_the_token_of_the_file_stays_right_below_common() -> None:
    merged = with_token_of(OLD, NEW)
    assert merged == ("# mine\n[common]\ntoken = k9$Qz\nserver_addr = b\n[web]\nlocal_port = 2\n")


def test_what_was_shown_and_put_back_is_the_same_to_a_reader() -> None:
    assert sorted(with_token_of(OLD, without_token(OLD)).split()) == sorted(OLD.split())


def test_a_text_is_checked_with_its_lines_where_they_are(world: World, file: Path) -> None:
    text = "[common]\ntoken = forged\npool_count = 2\n[web]"
    checked = to_check(OLD, text)
    assert checked.splitlines()[:4] == ["[common]", "", "pool_count = 2", "[web]"]
    with ConfigFile(str(file)).holding(checked) as held:
        common = load_client_common(held.path)
    assert (common.token.reveal(), common.pool_count) == ("k9$Qz", 2)
    assert to_check(OLD, "token = x\n[web]\n") == "\n[web]\n"
    seen: list[str | None] = []
    desk = Desk(world, config_file=str(file))

    def plan(_strict: bool, text: str | None, done: Callable[[ReloadReport], None]) -> None:
        seen.append(text)
        done(ReloadReport())

    call = Caller(frpc_app(replace(desk.desk, plan=plan), lambda _environ: ControlGate()))
    assert call("POST", "/api/frpd/check", {"text": text}).json["error"] == ""
    assert seen == [to_check(file.read_text(), text)]
    answer = call("POST", "/api/frpd/check", {"text": "[new]\nsk = ********\n"}).json
    assert answer["code"] == 3
    assert "[new] sk: ******** stands for" in answer["error"]
    assert len(seen) == 1


def test_a_text_that_ends_with_common_gets_its_token_too() -> None:
    assert with_token_of(OLD, "[common]") == "[common]\ntoken = k9$Qz\n"
    assert with_token_of("", NEW) == NEW.replace("token = forged\n", "")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "frpc.ini"
    path.write_text(OLD)
    path.chmod(0o640)
    return path


def test_the_file_is_replaced_with_its_mode(world: World, file: Path) -> None:
    desk = Desk(world, config_file=str(file))
    assert desk.call.get("/api/config").text == without_token(OLD)
    number = file.stat().st_ino
    answer = desk.call("PUT", "/api/config", NEW)
    assert (answer.status, answer.body) == (200, b"")
    assert file.read_text() == with_token_of(OLD, NEW)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert file.stat().st_ino != number
    assert os.listdir(file.parent) == [file.name]


def test_a_link_stays_a_link(world: World, file: Path) -> None:
    link = file.parent / "link.ini"
    link.symlink_to(file)
    assert Desk(world, config_file=str(link)).call("PUT", "/api/config", NEW).status == 200
    assert link.is_symlink()
    assert "server_addr = b" in file.read_text()


def test_an_empty_body_is_refused_as_in_frp(world: World, file: Path) -> None:
    answer = Desk(world, config_file=str(file)).call("PUT", "/api/config")
    assert (answer.status, answer.json["msg"]) == (400, "body can't be empty")
    assert file.read_text() == OLD


def test_nothing_is_checked_unless_that_is_asked_for(world: World, file: Path) -> None:
    seen: list[str] = []

    def check(path: str) -> None:
        seen.append(Path(path).read_text())
        raise ConfigError("line 2: no", path=path)

    desk = Desk(world, config_file=str(file), check=check)
    answer = desk.call("PUT", "/api/config?check=true", NEW)
    assert answer.status == 400
    assert "line 2: no" in answer.json["msg"]
    assert seen == [with_token_of(OLD, NEW)]
    assert file.read_text() == OLD
    assert os.listdir(file.parent) == [file.name]
    assert desk.call("PUT", "/api/config", "nonsense").status == 200
    assert file.read_text() == "nonsense"


def test_a_file_that_cannot_be_written_is_as_it_was(
    world: World, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_old: object, _new: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    answer = Desk(world, config_file=str(file)).call("PUT", "/api/config", NEW)
    assert (answer.status, answer.json["msg"]) == (500, f"write {file}: no space left on device")
    assert file.read_text() == OLD
    assert os.listdir(file.parent) == [file.name]


def test_without_a_file_there_is_nothing_to_show(world: World, tmp_path: Path) -> None:
    assert Desk(world).call.get("/api/config").status == 400
    gone = Desk(world, config_file=str(tmp_path / "gone.ini")).call.get("/api/config")
    assert gone.status == 400
    assert "no such file" in gone.json["msg"]
