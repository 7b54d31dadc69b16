from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from frpd.client.plugins import static_pages
from frpd.client.plugins.static_pages import (
    REASONS,
    error_page,
    listing,
    read_folder,
    shown,
    size_text,
)

LINK = re.compile(r'<td><a href="([^"]*)">([^<]*)</a></td><td>([^<]*)</td><td>([^<]*)</td>')


class Folder:
    """A folder, and a descriptor of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = os.open(path, os.O_RDONLY)

    def rows(self) -> list[tuple[str, ...]]:
        return LINK.findall(listing(self.fd, b"/x/", has_parent=False).decode())

    def add(self, name: str, content: str = "") -> Path:
        path = self.path / name
        path.write_text(content)
        os.utime(path, (0, 951827696))
        return path


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path)
    yield made
    os.close(made.fd)


def test_entries_have_a_link_a_size_and_a_date(folder: Folder) -> None:
    folder.add("a.txt", "12345")
    (folder.path / "sub").mkdir()
    os.utime(folder.path / "sub", (0, 86400))
    assert folder.rows() == [
        ("./sub/", "sub/", "", "1970-01-02 00:00"),
        ("./a.txt", "a.txt", "5 B", "2000-02-29 12:34"),
    ]


def test_folders_come_first_and_names_are_sorted(folder: Folder) -> None:
    for name in ("b", "a", "C"):
        folder.add(name)
        (folder.path / f"{name}.d").mkdir()
    names = [row[1] for row in folder.rows()]
    assert names == ["C.d/", "a.d/", "b.d/", "C", "a", "b"]


@pytest.mark.parametrize(
    ("name", "href", "text"),
    [
        ("a b", "./a%20b", "a b"),
        ("<b>&\"'", "./%3Cb%3E%26%22%27", "&lt;b&gt;&amp;&quot;&#x27;"),
        ("javascript:alert(1)", "./javascript%3Aalert%281%29", "javascript:alert(1)"),
        ("a?b#c%41", "./a%3Fb%23c%2541", "a?b#c%41"),
        ("\\..\\x", "./%5C..%5Cx", "\\..\\x"),
        ("日本", "./%E6%97%A5%E6%9C%AC", "日本"),
        (os.fsdecode(b"\xff"), "./%FF", "\N{REPLACEMENT CHARACTER}"),
        ("line\nend", "./line%0Aend", "line\nend"),
        (".hidden", "./.hidden", ".hidden"),
    ],
)
def test_names_do_nothing_but_name(folder: Folder, name: str, href: str, text: str) -> None:
    folder.add(name)
    [row] = folder.rows()
    assert row[:2] == (href, text)


def test_links_are_shown_and_not_followed(folder: Folder) -> None:
    (folder.path / "out").symlink_to("/etc")
    (folder.path / "broken").symlink_to("nowhere")
    assert [row[:3] for row in folder.rows()] == [
        ("./broken", "broken", ""),
        ("./out", "out", ""),
    ]


def test_what_nobody_gets_is_not_shown(folder: Folder) -> None:
    os.mkfifo(folder.path / "fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(folder.path / "socket"))
    assert folder.rows() == []


def test_what_is_gone_meanwhile_is_not_shown(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.add("a")
    folder.add("b")
    entries = read_folder(folder.fd)
    (folder.path / "a").unlink()
    monkeypatch.setattr(static_pages, "read_folder", lambda fd: entries)
    assert [row[1] for row in folder.rows()] == ["b"]


def test_a_listing_has_an_end(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_pages, "MAX_ENTRIES", 2)
    for name in "abc":
        folder.add(name)
    assert [row[1] for row in folder.rows()] == ["a", "b"]
    assert b"Only the first 2 entries are shown." in listing(folder.fd, b"/", has_parent=False)


def test_a_folder_can_be_read_again(folder: Folder) -> None:
    folder.add("a")
    assert folder.rows() == folder.rows() != []


def test_the_title_names_the_folder_and_a_link_leads_up(folder: Folder) -> None:
    page = listing(folder.fd, b"/<x>/\xff/", has_parent=True).decode()
    assert page.count("Index of /&lt;x&gt;/\N{REPLACEMENT CHARACTER}/") == 2
    assert '<a href="../">../</a>' in page
    assert '<a href="../">' not in listing(folder.fd, b"/", has_parent=False).decode()


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (4 * 1024**3, "4.0 GiB"),
        (2**63 - 1, "8.0 EiB"),
        (2**80, "1048576.0 EiB"),
    ],
)
def test_sizes_are_for_people(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize("status", [status for status in REASONS if status >= 400])
def test_a_page_says_what_is_wrong(status: int) -> None:
    page = error_page(status).decode()
    assert f"<h1>{REASONS[status]}</h1>" in page
    assert len(page) < 1500


def test_a_name_that_is_not_utf_8_can_be_shown() -> None:
    assert shown(b"a\xff") == "a\N{REPLACEMENT CHARACTER}"
