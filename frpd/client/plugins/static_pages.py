"""The pages that static_file writes itself: listings of folders, and what it says of errors."""

from __future__ import annotations

import html
import os
import stat
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote_from_bytes

MAX_ENTRIES: Final = 20_000
"""Most entries of a folder that a listing shows."""
HTML: Final = "text/html; charset=utf-8"
# A listing holds names that others chose: nothing in it may run or load.
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_UNITS: Final = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_STYLE: Final = """\
body { max-width: 60em; margin: 2em auto; padding: 0 1em; font-family: sans-serif; }
table { border-collapse: collapse; width: 100%; }
td, th { padding: .2em .6em; text-align: left; }
td:first-child { overflow-wrap: anywhere; }
td + td { text-align: right; white-space: nowrap; }
th + th { text-align: right; }
"""
_PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<h1>{title}</h1>
{content}
</body>
</html>
"""

REASONS: Final = {
    200: "OK",
    206: "Partial Content",
    301: "Moved Permanently",
    304: "Not Modified",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    412: "Precondition Failed",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}
_MEANINGS: Final = {
    301: "This folder's address ends with a slash.",
    400: "The request could not be understood.",
    401: "A user name and a password are needed.",
    403: "This may not be read from here.",
    404: "There is nothing at this address.",
    405: "Files can only be read here.",
    408: "The request took too long to arrive.",
    412: "The file has changed, or is not the one that was meant.",
    414: "The address is longer than is accepted here.",
    416: "The file does not have the part that was asked for.",
    417: "The request expects what is not offered here.",
    431: "The request has more headers than are accepted here.",
    500: "The file could not be read.",
    501: "The request asks for something that is not offered here.",
    503: "Too much is going on here. Please try again later.",
    505: "This version of HTTP is not spoken here.",
}


def error_page(status: int) -> bytes:
    """Return the page for a status other than success."""
    content = f"<p>{_MEANINGS[status]}</p>"
    return _PAGE.format(title=REASONS[status], style=_STYLE, content=content).encode()


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a listing, before anything was asked about it."""

    name: bytes
    is_folder: bool


def read_folder(fd: int) -> tuple[list[Entry], bool]:
    """Return the entries of a folder, folders first, and whether those are all.

    Links are not followed: where they lead is found out when somebody goes there.
    """
    with os.scandir(fd) as scan:
        found = [(not each.is_dir(follow_symlinks=False), os.fsencode(each.name)) for each in scan]
    found.sort()
    whole = len(found) <= MAX_ENTRIES
    return [Entry(name, not is_other) for is_other, name in found[:MAX_ENTRIES]], whole


def listing(fd: int, path: bytes, *, has_parent: bool) -> bytes:
    """Return the page that shows a folder.

    Args:
        fd: the folder, open for reading.
        path: its name for the title.
        has_parent: whether there is a folder above it to go to.
    """
    entries, whole = read_folder(fd)
    rows = ["<table>", "<tr><th>Name</th><th>Size</th><th>Changed (UTC)</th></tr>"]
    if has_parent:
        rows.append('<tr><td><a href="../">../</a></td><td></td><td></td></tr>')
    # Asking and writing take turns: with each system call the loop gets its share.
    rows += [row for entry in entries if (row := _row(fd, entry))]
    rows.append("</table>")
    if not whole:
        rows.append(f"<p>Only the first {MAX_ENTRIES} entries are shown.</p>")
    title = f"Index of {html.escape(shown(path))}"
    return _PAGE.format(title=title, style=_STYLE, content="\n".join(rows)).encode()


def shown(name: bytes) -> str:
    """Return a file's name as text that can be written down."""
    return name.decode("utf-8", "replace")


def size_text(size: int) -> str:
    """Return a size for people."""
    if size < 1024:
        return f"{size} B"
    value, units = size / 1024, iter(_UNITS)
    unit = next(units)
    while value >= 1023.95 and unit != _UNITS[-1]:
        value, unit = value / 1024, next(units)
    return f"{value:.1f} {unit}"


def _row(fd: int, entry: Entry) -> str:
    try:
        status = os.stat(entry.name, dir_fd=fd, follow_symlinks=False)
    except OSError:
        return ""  # gone meanwhile
    kind = stat.S_IFMT(status.st_mode)
    if kind not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
        return ""  # nobody gets these
    slash = "/" if entry.is_folder else ""
    size = size_text(status.st_size) if kind == stat.S_IFREG else ""
    changed = time.strftime("%Y-%m-%d %H:%M", time.gmtime(status.st_mtime))
    # "./" in front: a name may hold a colon.
    return (
        f'<tr><td><a href="./{quote_from_bytes(entry.name, safe="")}{slash}">'
        f"{html.escape(shown(entry.name))}{slash}</a></td><td>{size}</td><td>{changed}</td></tr>"
    )
