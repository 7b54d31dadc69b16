"""frpd.config.source: bytes to lines, and the files that `includes` names."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from frpd.config import source
from frpd.config.problems import Problems
from frpd.config.source import included_files, read_lines
from frpd.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def lines_in(path: Path, data: bytes, **environ: str) -> list[tuple[str, str, int]]:
    path.write_bytes(data)
    found = read_lines(str(path), environ, Problems())
    return [(text, origin.path, origin.line) for text, origin in found]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "frps.ini"


def test_lines_keep_their_ends_and_know_file_and_number(file: Path) -> None:
    data = b"[common]\r\n\ntoken = {{ .Envs.T }}\nx = \xe9"
    assert lines_in(file, data, T="t") == [
        ("[common]\r\n", str(file), 1),
        ("\n", str(file), 2),
        ("token = t\n", str(file), 3),
        ("x = \udce9", str(file), 4),
    ]


def test_only_the_first_byte_order_mark_is_one(file: Path) -> None:
    bom = "\ufeff".encode()
    assert lines_in(file, bom + b"a\n" + bom) == [("a\n", str(file), 1), ("\ufeff", str(file), 2)]


def test_an_empty_file_has_no_lines(file: Path) -> None:
    assert lines_in(file, b"") == []


def test_the_limit_itself_is_allowed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_BYTES", 8)
    assert lines_in(file, b"12345678") == [("12345678", str(file), 1)]
    with pytest.raises(ConfigError) as caught:
        lines_in(file, b"123456789")
    assert str(caught.value) == f"{file}: larger than 8 bytes"


def test_text_that_comes_in_pieces_is_whole(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.read
    monkeypatch.setattr(os, "read", lambda fd, limit: whole(fd, min(limit, 3)))
    assert lines_in(file, b"bind_port = 7000\n") == [("bind_port = 7000\n", str(file), 1)]


def test_a_pipe_is_read_to_its_end() -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, b"[common]\n")
        os.close(writing)
        path = f"/dev/fd/{reading}"
        assert [line.text for line in read_lines(path, {}, Problems())] == ["[common]\n"]
    finally:
        os.close(reading)


def test_a_file_with_zero_bytes_is_named_with_what_is_accepted(file: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        lines_in(file, b"[common]\0\n")
    assert str(caught.value) == (f"{file}: not a text file: it has zero bytes (UTF-8 is accepted)")


def test_what_cannot_be_opened_is_said_in_gos_words_and_carries_its_path(file: Path) -> None:
    file.symlink_to(file)
    with pytest.raises(ConfigError) as caught:
        read_lines(str(file), {}, Problems())
    assert str(caught.value) == f"open {file}: too many levels of symbolic links"
    assert (caught.value.path, caught.value.line) == (str(file), None)


def test_a_read_that_fails_is_said_in_gos_words(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_fd: int, _limit: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "read", fail)
    with pytest.raises(ConfigError) as caught:
        lines_in(file, b"x")
    assert str(caught.value) == f"read {file}: input/output error"


def test_includes_come_item_by_item_and_sorted_within(tmp_path: Path) -> None:
    for name in ("b.ini", "a.ini", "B.ini", "é.ini", ".hid.ini", "a.txt", "c.INI"):
        (tmp_path / name).touch()
    (tmp_path / "dir.ini").mkdir()
    found = included_files([f"{tmp_path}/a.t?t", f"{tmp_path}/*.ini"])
    names = [os.path.relpath(path, tmp_path) for path in found]
    assert names == ["a.txt", ".hid.ini", "B.ini", "a.ini", "b.ini", "é.ini"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [("[ab].ini", ["a.ini", "b.ini"]), ("[^ab].ini", ["c.ini"]), ("b.ini", ["b.ini"]), ("x*", [])],
)
def test_patterns_are_gos(tmp_path: Path, pattern: str, names: list[str]) -> None:
    for name in ("a.ini", "b.ini", "c.ini"):
        (tmp_path / name).touch()
    assert included_files([f"{tmp_path}/{pattern}"]) == [f"{tmp_path}/{name}" for name in names]


@pytest.mark.parametrize("item", ["more.ini", "./more.ini", "sub/../*.ini"])
def test_relative_includes_start_at_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, item: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "more.ini").touch()
    assert included_files([item]) == [str(tmp_path / "more.ini")]


def test_or_at_the_folder_that_is_given(tmp_path: Path) -> None:
    (tmp_path / "more.ini").touch()
    (tmp_path / "sub").mkdir()
    found = [str(tmp_path / "more.ini")]
    assert included_files(["*.ini"], str(tmp_path)) == found
    assert included_files(["../*.ini"], str(tmp_path / "sub")) == found
    assert included_files([f"{tmp_path}/*.ini"], "/etc") == found


@pytest.mark.parametrize("folder", ["none", "file", "zero\0"])
def test_an_include_in_what_is_no_folder_names_section_and_key(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    item = f"{tmp_path}/{folder}/*.ini"
    with pytest.raises(ConfigError) as caught:
        included_files([item])
    assert str(caught.value) == f"[common] includes: include: directory of {item} not exist"


def test_an_include_folder_that_cannot_be_listed_is_named(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(ConfigError) as caught:
        included_files([f"{loop}/*.ini"])
    assert str(caught.value) == f"open {loop}: too many levels of symbolic links"
    assert caught.value.path == str(loop)
