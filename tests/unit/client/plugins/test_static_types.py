from __future__ import annotations

import subprocess
import sys

import pytest

from frpd.client.plugins.static_types import type_by_content, type_by_name

TEXT, UNKNOWN = "text/plain; charset=utf-8", "application/octet-stream"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"index.html", "text/html; charset=utf-8"),
        (b"INDEX.HTM", "text/html; charset=utf-8"),
        (b"style.css", "text/css; charset=utf-8"),
        (b"app.js", "text/javascript; charset=utf-8"),
        (b"app.wasm", "application/wasm"),
        (b"data.json", "application/json"),
        (b"a.tar.gz", "application/gzip"),
        (b"photo.JPEG", "image/jpeg"),
        (b"clip.mp4", "video/mp4"),
        (b"font.woff2", "font/woff2"),
        (b"movie.avi", "video/x-msvideo"),  # Python's own
        (b"README", ""),
        (b".profile", ""),
        (b"x.", ""),
        (b"x.no-such-type", ""),
        (b"\xff.\xfe", ""),
    ],
)
def test_the_name_tells_the_type(name: bytes, expected: str) -> None:
    assert type_by_name(name) == expected


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (b"", TEXT),
        (b"Read me.\r\n\tThen\x1b[0m\f", TEXT),
        ("日本".encode(), TEXT),
        ("日".encode() * 170 + b"\xe6\x97", TEXT),  # cut within a character
        ("日".encode() * 170 + b"x\xe6", TEXT),
        ("日".encode() * 170 + b"x\xff", UNKNOWN),
        (b"\xff\xfeutf-16", UNKNOWN),
        (b"caf\xe9", UNKNOWN),
        (b"caf\xe9 au lait", UNKNOWN),
        (b"\x7fELF", UNKNOWN),
        (b"a\0b", UNKNOWN),
        (b"<script>alert(1)</script>", TEXT),  # shown, never run
    ],
)
def test_without_it_the_first_bytes_tell_text_from_the_rest(first: bytes, expected: str) -> None:
    assert type_by_content(first) == expected


def test_no_file_of_the_system_is_asked() -> None:
    source = (
        "import mimetypes, os\n"
        "mimetypes.knownfiles[:] = []\n"
        "from frpd.client.plugins.static_types import type_by_name\n"
        "assert not mimetypes.inited\n"
        "print(type_by_name(b'a.svg'))\n"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, check=True)
    assert done.stdout == b"image/svg+xml\n"
