"""frpd.cli.ctl.daemons: the program that is meant, and why it cannot be asked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from frpd import log
from frpd.admin import control_socket
from frpd.cli.ctl.daemons import in_path, remedy_of
from tests.helpers.world import World
from tests.unit.cli.ctl.scene import Scene, answering

HINT = "name its file with -c FILE, or its control socket with --socket PATH"


def write(scene: Scene, name: str, text: str = "") -> str:
    file = scene.folder / "etc" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"[common]\n{text}")
    return str(file)


def test_the_only_one_that_runs_is_meant(scene: Scene) -> None:
    scene.frpc()
    (scene.folder / "left-behind.sock").touch()
    (scene.folder / "frpc.pid").touch()
    assert scene("log-level").out == f"{log.level()}\n"


def test_of_several_one_has_to_be_named(scene: Scene) -> None:
    scene.frps()
    scene.frpc()
    frps, frpc = (f"{scene.folder}/{name}.sock" for name in ("frps", "frpc"))
    done = scene("log-level")
    assert done.status == 1
    assert done.err == f"frpd-ctl: more than one runs: frpc at {frpc}, frps at {frps}: {HINT}\n"
    assert scene("log-level", "--socket", frps).status == 0
    assert scene("log-level", "--server").status == 0
    # What only one of them knows is asked of that one.
    assert scene("clients").status == 0


def test_of_two_sorts_the_command_needs_the_other(scene: Scene) -> None:
    scene.frpc()
    done = scene("clients", "--socket", f"{scene.folder}/frpc.sock")
    assert done.err == f"frpd-ctl: {scene.folder}/frpc.sock is of frpc, and this is for frps\n"
    assert scene("clients").err == f"frpd-ctl: no frps is found: {HINT}\n"


def test_nothing_there_is_said_with_what_to_do(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = scene.folder
    none = f"frpd-ctl: neither frps nor frpc runs with a control socket in {folder}: {HINT}\n"
    assert scene("status") == (1, "", none)
    (folder / "frps.sock").touch()
    assert scene("status").err == f"frpd-ctl: nobody listens at {folder}/frps.sock\n"
    monkeypatch.setattr(control_socket, "RUN_FOLDER", f"{folder}/none")
    assert "neither frps nor frpc runs" in scene("status").err


def test_the_file_leads_to_its_control_socket(scene: Scene) -> None:
    scene.frps()
    assert scene("log-level", "-c", write(scene, "frps.ini")).status == 0
    assert "both name a program" in scene("status", "-c", "x.ini", "--socket", "y").err
    assert "no such file" in scene("status", "-c", "/none/frps.ini").err


def test_where_the_socket_leads_nowhere_the_port_does(scene: Scene) -> None:
    scene.behind["127.0.0.1:7400"] = answering({"program": "frpc", "level": "warn"})
    file = write(scene, "frpc.ini", "admin_port = 7400\n")
    assert scene("log-level", "-c", file).out == "warn\n"
    del scene.behind["127.0.0.1:7400"]
    done = scene("log-level", "-c", file)
    assert done.err == (
        f"frpd-ctl: frpc of {file} does not run: nobody listens at {scene.folder}/frpc.sock; "
        "nobody listens at 127.0.0.1:7400\n"
    )


def test_the_default_socket_may_be_another_program_s(scene: Scene) -> None:
    """As where files of one name lie in two folders: the one of the other file is not meant."""
    mine, other = write(scene, "a/frpc.ini"), write(scene, "b/frpc.ini")
    scene.frpc(config_file=mine)
    assert scene("log-level", "-c", mine).status == 0
    done = scene("log-level", "-c", other)
    assert done.err == f"frpd-ctl: {scene.folder}/frpc.sock is of frpc with {mine}\n"
    # A path that the file itself names is believed.
    named = write(scene, "c/frpc.ini", f"control_socket = {scene.folder}/frpc.sock\n")
    assert scene("log-level", "-c", named).status == 0


def test_a_link_to_the_file_is_the_file(scene: Scene) -> None:
    mine = write(scene, "a/frpc.ini")
    os.symlink(mine, scene.folder / "frpc.ini")
    scene.frpc(config_file=mine)
    assert scene("log-level", "-c", f"{scene.folder}/frpc.ini").status == 0


@pytest.mark.parametrize(
    ("status", "value", "error"),
    [
        (401, {}, "wrong user or password; if they were changed in the file, the program has to"),
        (403, {}, "permission denied: run as root"),
        (404, {}, "is none of frpd's"),
        (200, [1], "is none of frpd's"),
        (200, {"a": 1}, "status 200"),
        (503, {"msg": "no answer within 5 s"}, "no answer within 5 s"),
    ],
)
def test_what_keeps_us_out_is_one_line(
    scene: Scene, status: int, value: object, error: str
) -> None:
    scene.put("frps.sock", answering(value, status))
    done = scene("status")
    assert done.status == 1
    assert error in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("problem", "error"),
    [
        (PermissionError(13, "Permission denied"), "permission denied: run as root"),
        (FileNotFoundError(2, "No such file or directory"), "there is no control socket /x"),
        (TimeoutError("timed out"), "/x: no answer in time"),
        (OSError(113, "No route to host"), "/x: no route to host"),
    ],
)
def test_a_connection_that_fails_is_one_line(scene: Scene, problem: OSError, error: str) -> None:
    scene.fail("/x", problem)
    assert error in scene("status", "--socket", "/x").err


def test_who_may_use_a_socket_is_its_group(tmp_path: Path) -> None:
    file = tmp_path / "s"
    file.touch()
    if os.geteuid() == 0:
        os.chown(file, -1, 0)
        assert remedy_of(str(file)) == "run as root"
        os.chown(file, -1, 1)
        assert remedy_of(str(file)) == "run as root or as a member of group daemon"
    assert remedy_of(str(tmp_path / "none")) == "run as root or as a member of group frpd"


def test_a_name_is_one_part_of_a_path() -> None:
    assert in_path("a/b c?%") == "a%2Fb%20c%3F%25"


def test_names_of_any_letters_arrive(scene: Scene, world: World) -> None:
    desk = scene.frps()
    desk.house.proxy(desk.house.client(), "a/b c?%\u4e2d")
    world.settle()
    assert scene("traffic", "a/b c?%\u4e2d").status == 0
