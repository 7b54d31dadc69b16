"""frpd.log: lines, prefixes, levels, escapes, files, rotation, and outputs that fail."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from frpd import log as frpd_log
from frpd.errors import ConfigError
from frpd.log import PrefixLogger, escape, get_logger, setup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LINE = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[I\] \[test_log\.py:\d+\] hello 7\n")


@pytest.fixture(autouse=True)
def _undo_setup() -> Iterator[None]:
    yield
    frpd_log.close()
    logging.getLogger("frpd").setLevel(logging.NOTSET)


@pytest.fixture
def log() -> PrefixLogger:
    return get_logger("frpd.somewhere")


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let the records that follow be made at the given local time, in Berlin."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()

    def at(text: str) -> None:
        seconds = time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S"))
        monkeypatch.setattr(time, "time", lambda: seconds)
        monkeypatch.setattr(time, "time_ns", lambda: int(seconds) * 10**9)

    return at


def to_file(path: Path, *, level: str = "info", max_days: int = 3) -> None:
    setup(target=str(path), level=level, max_days=max_days, color=False)


def run_python(code: str, **kwargs: object) -> subprocess.CompletedProcess[bytes]:
    options: dict[str, object] = {"capture_output": True, "timeout": 20, **kwargs}
    return subprocess.run([sys.executable, "-c", code], check=False, **options)  # type: ignore[call-overload, no-any-return]  # options vary


def test_a_line_has_the_format_of_the_seed_era(
    log: PrefixLogger, capfd: pytest.CaptureFixture[str]
) -> None:
    setup(target="console", level="info", max_days=3, color=True)
    log.info("hello %d", 7)
    assert LINE.fullmatch(capfd.readouterr().out)


def test_prefixes_stand_ahead_of_the_text_each_in_brackets(
    log: PrefixLogger, capfd: pytest.CaptureFixture[str]
) -> None:
    setup(target="", level="info", max_days=3, color=False)
    run = log.prefixed("9f2c")
    run.prefixed("web").info("start proxy success")
    run.prefixed("a", "100%d").info("two at once")
    out = capfd.readouterr().out
    assert "] [9f2c] [web] start proxy success\n" in out
    assert "] [9f2c] [a] [100%d] two at once\n" in out


@pytest.mark.parametrize(
    ("level", "marks"),
    [
        ("trace", "TDIWEE"),
        ("debug", "DIWEE"),
        ("info", "IWEE"),
        ("warn", "WEE"),
        ("error", "EE"),
        ("something", "WEE"),
    ],
)
def test_a_level_shows_itself_and_all_above(
    log: PrefixLogger, tmp_path: Path, level: str, marks: str
) -> None:
    path = tmp_path / "frps.log"
    to_file(path, level=level)
    log.trace("x")
    log.debug("x")
    log.info("x")
    log.warning("x")
    log.error("x")
    logging.getLogger("frpd.plain").critical("x")
    assert "".join(re.findall(r" \[([A-Z])\] ", path.read_text())) == marks


def test_arguments_of_a_disabled_level_are_never_rendered(
    log: PrefixLogger, tmp_path: Path
) -> None:
    class Loud:
        def __str__(self) -> str:
            raise AssertionError

    to_file(tmp_path / "frps.log", level="info")
    log.debug("%s", Loud())
    assert not log.enabled(logging.DEBUG)
    assert log.enabled(logging.INFO)


def test_the_line_names_the_caller_not_the_logger(log: PrefixLogger, tmp_path: Path) -> None:
    path = tmp_path / "frps.log"
    to_file(path, level="trace")
    line = sys._getframe().f_lineno
    log.trace("x")
    log.debug("x")
    log.info("x")
    log.warning("x")
    log.error("x")
    found = [int(n) for n in re.findall(r"\[test_log\.py:(\d+)\]", path.read_text())]
    assert found == [line + 1, line + 2, line + 3, line + 4, line + 5]


def test_warnings_of_libraries_reach_the_log_and_their_chatter_does_not(tmp_path: Path) -> None:
    path = tmp_path / "frps.log"
    to_file(path, level="trace")
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("some.library").warning("trouble")
    assert "trouble" in path.read_text()
    assert "chatter" not in path.read_text()


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        ("a\nb", r"a\nb"),
        ("a\r\tb", r"a\r\tb"),
        ("\x1b[2J\x07\x00\x7f", r"\x1b[2J\x07\x00\x7f"),
        ("\x85\x9b", r"\x85\x9b"),
        ("a\u2028b\u202eb", r"a\u2028b\u202eb"),
        ("Grüße 中文 🙂", "Grüße 中文 🙂"),
    ],
)
def test_what_could_forge_a_line_is_escaped(raw: str, written: str) -> None:
    assert escape(raw) == written


def test_control_characters_of_peers_never_reach_the_output(
    log: PrefixLogger, tmp_path: Path
) -> None:
    path = tmp_path / "frps.log"
    to_file(path)
    forged = "x\n2018/06/01 12:00:00 [I] [service.go:1] all is well"
    log.prefixed(forged).info("host %s", forged)
    text = path.read_text()
    assert text.count("\n") == 1
    assert text.count(r"x\n2018") == 2


def test_a_traceback_is_indented_so_that_an_exception_cannot_forge_a_line(
    log: PrefixLogger, tmp_path: Path
) -> None:
    path = tmp_path / "frps.log"
    to_file(path)
    try:
        raise RuntimeError("oops\n2018/06/01 12:00:00 [I] fine\x1b[0m")
    except RuntimeError:
        log.exception("callback failed")
    first, *rest = path.read_text().splitlines()
    assert first.endswith("callback failed")
    assert rest[0] == "  | Traceback (most recent call last):"
    assert all(line.startswith("  | ") for line in rest)
    assert "\x1b" not in "".join(rest)


def test_a_wrong_format_is_written_rather_than_raised() -> None:
    code = (
        "from frpd.log import *; setup(target='console', level='info', max_days=3, color=False);"
        "get_logger('frpd').info('%d ports', 'no number')"
    )
    done = run_python(code)
    assert b"%d ports ('no number',) (bad log format" in done.stdout
    assert done.stderr == b""


def test_an_unpaired_surrogate_is_written_as_an_escape(log: PrefixLogger, tmp_path: Path) -> None:
    path = tmp_path / "frps.log"
    to_file(path)
    log.info("name %s", os.fsdecode(b"caf\xe9"))
    assert "name caf\\udce9\n" in path.read_text()


@pytest.mark.parametrize("env", [{}, {"LC_ALL": "POSIX"}, {"PYTHONIOENCODING": "ascii"}])
def test_non_ascii_text_needs_no_locale(env: dict[str, str]) -> None:
    code = (
        "from frpd.log import *; setup(target='console', level='info', max_days=3, color=True);"
        "get_logger('frpd').info('Gr\\u00fc\\u00dfe')"
    )
    done = run_python(code, env=env)
    assert done.returncode == 0
    assert done.stderr == b""
    assert done.stdout.endswith("Grüße\n".encode())
    assert b"\x1b" not in done.stdout


def test_a_line_is_out_when_the_call_returns_also_in_a_pipe() -> None:
    code = (
        "import os; from frpd.log import *;"
        "print('printed first');"
        "setup(target='console', level='info', max_days=3, color=True);"
        "get_logger('frpd').info('flushed'); os._exit(0)"
    )
    lines = run_python(code).stdout.splitlines()
    assert lines[0] == b"printed first"
    assert lines[1].endswith(b"flushed")


@pytest.mark.parametrize(
    ("color", "ending"),
    [
        (True, "\x1b[1;34m[I] [test_log.py:{line}] blue\x1b[0m\r\n"),
        (False, " [I] [test_log.py:{line}] blue\r\n"),
    ],
)
def test_colour_is_for_terminals_and_can_be_disabled(
    log: PrefixLogger, monkeypatch: pytest.MonkeyPatch, color: bool, ending: str
) -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        setup(target="console", level="info", max_days=3, color=color)
        line = sys._getframe().f_lineno + 1
        log.info("blue")
        text = os.read(master, 4096).decode()
        frpd_log.close()
    os.close(master)
    assert text.endswith(ending.format(line=line))
    assert re.match(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ", text)


def test_a_reader_that_went_away_costs_the_line_and_nothing_else() -> None:
    code = (
        "import sys; from frpd.log import *;"
        "setup(target='console', level='info', max_days=3, color=False);"
        "sys.stdin.read();"
        "[get_logger('frpd').info('x') for _ in range(1000)];"
        "sys.stderr.write('alive')"
    )
    read_end, write_end = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=write_end,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(write_end)
        os.close(read_end)
        _, stderr = process.communicate(b"", timeout=20)
    assert stderr == b"alive"
    assert process.returncode == 0


def test_a_full_disk_costs_the_line_and_nothing_else() -> None:
    code = (
        "import sys; from frpd.log import *;"
        "setup(target='console', level='info', max_days=3, color=False);"
        "[get_logger('frpd').info('x') for _ in range(1000)]"
    )
    with Path("/dev/full").open("wb") as full:
        done = run_python(code, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 0
    assert done.stderr == b""


def test_a_closed_stdout_is_never_mistaken_for_a_socket() -> None:
    code = (
        "import os, sys; from frpd.log import *; r, w = os.pipe(); assert 1 in (r, w);"
        "setup(target='console', level='info', max_days=3, color=False);"
        "get_logger('frpd').info('x'); os.set_blocking(r, False)\n"
        "try: os.read(r, 9); sys.exit(5)\n"
        "except BlockingIOError: sys.exit(0)\n"
    )
    command = 'exec "$0" -c "$1" >&-'
    done = subprocess.run(["/bin/sh", "-c", command, sys.executable, code], check=False)
    assert done.returncode == 0


def test_a_full_log_file_is_told_once_on_stderr_and_the_loss_is_counted(
    log: PrefixLogger,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "frps.log"
    to_file(path)

    def full(_fd: int, _data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        log.info("lost")
        log.info("lost")
    log.info("works again")
    log.info("and again")
    said = capsys.readouterr().err
    assert said == f"cannot write to log file {path}: No space left on device\n"
    lines = path.read_text().splitlines()
    assert lines[0].endswith("[W] [log.py:0] 2 log lines before this one could not be written")
    assert [line.rpartition("] ")[2] for line in lines[1:]] == ["works again", "and again"]


def test_a_partial_write_is_continued(
    log: PrefixLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "frps.log"
    to_file(path)
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: real(fd, bytes(data)[:7]))
        log.info("in pieces")
    assert path.read_text().endswith("in pieces\n")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("absent/frps.log", "No such file or directory"),
        ("", "Is a directory"),
        ("file/frps.log", "Not a directory"),
        ("fifo", "No such device or address"),
        ("nul\0byte", "null byte"),
    ],
)
def test_a_file_that_cannot_be_opened_is_a_config_error_naming_it(
    tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    target = f"{tmp_path}/{name}"
    with pytest.raises(ConfigError, match=reason) as caught:
        setup(target=target, level="info", max_days=3, color=False)
    assert str(tmp_path) in str(caught.value)
    assert caught.value.key == "log_file"


def test_a_failed_setup_keeps_the_log_that_was(log: PrefixLogger, tmp_path: Path) -> None:
    path = tmp_path / "frps.log"
    to_file(path)
    with pytest.raises(ConfigError):
        to_file(tmp_path / "absent" / "frps.log")
    log.info("still here")
    assert "still here" in path.read_text()


def test_a_second_setup_replaces_the_first_and_leaks_no_descriptor(
    log: PrefixLogger, tmp_path: Path
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for name in ("a.log", "b.log"):
        to_file(tmp_path / name)
    log.info("x")
    assert (tmp_path / "a.log").read_text() == ""
    assert (tmp_path / "b.log").read_text().count("\n") == 1
    frpd_log.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_file_is_appended_to_private_and_not_inherited(
    log: PrefixLogger, tmp_path: Path
) -> None:
    path = tmp_path / "frps.log"
    previous = os.umask(0o022)
    try:
        to_file(path)
    finally:
        os.umask(previous)
    (fd,) = (fd for fd in Path("/proc/self/fd").iterdir() if fd.resolve() == path)
    assert fcntl.fcntl(int(fd.name), fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    log.info("one")
    to_file(path)
    log.info("two")
    assert path.read_text().count("\n") == 2
    assert path.stat().st_mode & 0o777 == 0o640


def test_dev_null_is_a_valid_log_file(log: PrefixLogger) -> None:
    to_file(Path("/dev/null"))
    log.info("x")
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize(
    ("name", "rotated"),
    [
        ("frps.log", "frps.2018-06-01.log"),
        ("frps", "frps.2018-06-01.log"),
        ("my.frps.txt", "my.frps.2018-06-01.txt"),
    ],
)
def test_at_local_midnight_the_file_gets_the_date_of_its_day(
    log: PrefixLogger, tmp_path: Path, wall: Callable[[str], None], name: str, rotated: str
) -> None:
    path = tmp_path / name
    wall("2018-06-01 23:59:59")
    to_file(path)
    log.info("old day")
    wall("2018-06-02 00:00:00")
    log.info("new day")
    assert "2018/06/01 23:59:59" in (tmp_path / rotated).read_text()
    assert (tmp_path / rotated).stat().st_mode & 0o777 == 0o440
    assert "2018/06/02 00:00:00" in path.read_text()
    assert "old day" not in path.read_text()


def test_a_rotated_name_that_is_taken_gets_a_number(
    log: PrefixLogger, tmp_path: Path, wall: Callable[[str], None]
) -> None:
    wall("2018-06-01 12:00:00")
    to_file(tmp_path / "frps.log")
    (tmp_path / "frps.2018-06-01.log").touch()
    (tmp_path / "frps.2018-06-01.001.log").symlink_to("nowhere")
    log.info("x")
    wall("2018-06-02 12:00:00")
    log.info("y")
    assert (tmp_path / "frps.2018-06-01.002.log").stat().st_size > 0


def test_what_a_stopped_daemon_left_yesterday_is_rotated_at_the_first_line(
    log: PrefixLogger, tmp_path: Path, wall: Callable[[str], None]
) -> None:
    path = tmp_path / "frps.log"
    path.write_text("left\n")
    wall("2018-06-01 12:00:00")
    left = time.time() - 3 * 86400
    os.utime(path, (left, left))
    to_file(path)
    log.info("today")
    assert (tmp_path / "frps.2018-05-29.log").read_text() == "left\n"
    assert path.read_text().count("\n") == 1


@pytest.mark.parametrize("day", ["2018-06-05", "2018-03-26", "2018-10-29"])
def test_rotation_deletes_its_own_files_beyond_max_days_and_no_other(
    log: PrefixLogger, tmp_path: Path, wall: Callable[[str], None], day: str
) -> None:
    wall(f"{day} 23:30:00")
    now = time.time()

    def named(days_ago: int, tail: str = "") -> Path:
        date = time.strftime("%Y-%m-%d", time.localtime(now - days_ago * 86400 - 12 * 3600))
        return tmp_path / f"frps.{date}{tail}.log"

    old = [named(3), named(3, ".001"), named(40)]
    keep = [named(2), named(1), tmp_path / "frps.notes.log", tmp_path / "frps.2001-01-01.log.gz"]
    keep += [tmp_path / "frpsx.2001-01-01.log", tmp_path / "sub" / "frps.2001-01-01.log"]
    (tmp_path / "sub").mkdir()
    for path in old + keep:
        path.touch()
    to_file(tmp_path / "frps.log", max_days=3)
    log.info("x")
    wall(time.strftime("%Y-%m-%d 00:00:01", time.localtime(now + 3600)))
    log.info("y")
    assert [path.name for path in old if path.exists()] == []
    assert [path.name for path in keep if not path.exists()] == []


def test_a_folder_that_refuses_the_new_name_keeps_the_old_file_going(
    log: PrefixLogger, tmp_path: Path, wall: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_old: str, _new: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    path = tmp_path / "frps.log"
    wall("2018-06-01 12:00:00")
    to_file(path)
    log.info("x")
    monkeypatch.setattr(os, "rename", refuse)
    wall("2018-06-02 12:00:00")
    log.info("y")
    assert path.read_text().count("\n") == 2


def test_a_file_that_logrotate_moved_is_begun_anew(
    log: PrefixLogger, tmp_path: Path, wall: Callable[[str], None]
) -> None:
    path = tmp_path / "frps.log"
    wall("2018-06-01 12:00:00")
    to_file(path)
    log.info("first")
    path.rename(tmp_path / "frps.log.1")
    wall("2018-06-01 12:00:02")
    log.info("second")
    assert "second" in path.read_text()
    assert "second" not in (tmp_path / "frps.log.1").read_text()


def test_the_level_is_told_and_changed_while_it_runs(log: PrefixLogger, tmp_path: Path) -> None:
    path = tmp_path / "frps.log"
    to_file(path, level="warn")
    assert frpd_log.level() == "warn"
    log.info("too little")
    assert frpd_log.set_level("debug") == "warn"
    assert frpd_log.level() == "debug"
    log.debug("enough")
    assert "enough" in path.read_text()
    assert "too little" not in path.read_text()
    with pytest.raises(ValueError, match="accepted: trace, debug, info, warn, error"):
        frpd_log.set_level("loud")


def test_as_json_each_line_is_an_object_with_fixed_fields(tmp_path: Path) -> None:
    path = tmp_path / "frps.log"
    setup(target=str(path), level="info", max_days=0, color=False, line_format="json")
    log = get_logger("frpd.test").prefixed("run", 'we"b\n')
    log.warning("said %s", "a\x1b[2J\x7f\u202eb")
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        log.exception("failed")
    plain, failed = path.read_text().splitlines()
    assert plain.isascii()
    assert plain.isprintable()
    found = json.loads(plain)
    assert list(found) == ["time", "level", "source", "names", "text"]
    assert (found["level"], found["names"]) == ("warn", ["run", 'we"b\n'])
    assert found["text"] == "said a\x1b[2J\x7f\u202eb"
    assert re.fullmatch(r"test_log\.py:\d+", found["source"])
    assert "second" in json.loads(failed)["traceback"]


def test_how_many_days_are_kept_may_change(tmp_path: Path) -> None:
    to_file(tmp_path / "frps.log", max_days=3)
    frpd_log.set_max_days(9)
    (handler,) = [h for h in logging.getLogger().handlers if isinstance(h, frpd_log._FileHandler)]
    assert handler.file.max_days == 9


def test_the_last_lines_are_remembered_within_bounds(log: PrefixLogger, tmp_path: Path) -> None:
    assert frpd_log.recent() == (0, [])
    to_file(tmp_path / "log")
    for index in range(frpd_log.REMEMBERED_LINES + 5):
        log.info("line %d", index)
    log.debug("below the level")
    count, lines = frpd_log.recent()
    assert count == lines[-1].number == frpd_log.REMEMBERED_LINES + 5
    assert (len(lines), lines[0].text) == (frpd_log.REMEMBERED_LINES, "line 5")
    assert frpd_log.recent(count - 1) == (count, lines[-1:])
    log.info("x" * 10_000)
    assert len(frpd_log.recent()[1][-1].text) == frpd_log.REMEMBERED_CHARS


def test_a_remembered_line_is_as_harmless_as_a_written_one(
    log: PrefixLogger, tmp_path: Path
) -> None:
    to_file(tmp_path / "log")
    try:
        raise ValueError("two\nlines")
    except ValueError:
        log.prefixed("a\x1b").exception("it\nfailed")
    (line,) = frpd_log.recent()[1]
    assert line.text == "[a\\x1b] it\\nfailed: ValueError: two\\nlines"
    assert line.level == "E"
    frpd_log.close()
    assert frpd_log.recent() == (0, [])
