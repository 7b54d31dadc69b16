"""The dashboards' pages: files of the package, or of the operator's ``assets_dir``.

They are read when this module is imported: a daemon that has given up root may have no right
to read them later. Whoever asks for them has passed the same gate as for the API.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import mimetypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import bottle

from frpd.admin.web_app import AdminApp, ApiError, Reply

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
OWN_FILES_POLICY: Final = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'none'"
)
"""For assets_dir: frp's own pages bring styles in their scripts."""

MAX_ASSET_BYTES: Final = 16 * 1024 * 1024
INDEX: Final = "index.html"
SHARED: Final = "shared"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/vnd.microsoft.icon",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_NOT_COMPRESSED: Final = ("image/png", "image/jpeg", "image/vnd.", "font/woff")


@dataclass(frozen=True)
class Page:
    """A file as it is sent."""

    body: bytes
    content_type: str

    @functools.cached_property
    def tag(self) -> str:
        """Names this content."""
        return hashlib.sha256(self.body).hexdigest()[:20]

    @functools.cached_property
    def compressed(self) -> bytes | None:
        """By gzip; None where that is of no use."""
        if self.content_type.startswith(_NOT_COMPRESSED):
            return None
        return gzip.compress(self.body, mtime=0)


def _packaged() -> dict[str, Page]:
    folder = Path(__file__).parent / "static"
    return {
        path.relative_to(folder).as_posix(): Page(path.read_bytes(), _TYPES[path.suffix])
        for path in sorted(folder.rglob("*.*"))
    }


_PACKAGED: Final = _packaged()


def register(app: AdminApp, program: str, assets_dir: Callable[[], str]) -> None:
    """Register the pages of ``frps`` or ``frpc``.

    Args:
        app: the application.
        program: whose pages.
        assets_dir: returns the folder of the operator's own files; "" for the package's.
    """

    def go() -> Reply:
        return Reply(status=301, headers={"Location": "/static/"})

    def send(name: str = INDEX) -> Reply:
        folder = assets_dir()
        page = _of_folder(folder, name) if folder else _of_package(program, name)
        if page is None:
            raise ApiError(404, f"no such file: {name}")
        return _reply(page, OWN_FILES_POLICY if folder else POLICY)

    def icon() -> Reply:
        return send("favicon.ico")

    app.get("/", go)
    app.get("/static/", send)
    app.get("/static/<name:path>", send)
    app.get("/favicon.ico", icon)


def _of_package(program: str, name: str) -> Page | None:
    if name in (INDEX, "favicon.ico"):
        name = f"{program if name == INDEX else SHARED}/{name}"
    return _PACKAGED.get(name) if name.startswith((f"{program}/", f"{SHARED}/")) else None


def _of_folder(folder: str, name: str) -> Page | None:
    """Return a file below a folder, never one outside of it."""
    if "\0" in name:
        return None
    root = os.path.realpath(folder)
    path = os.path.realpath(os.path.join(root, *PurePosixPath("/", name).parts[1:]))
    if os.path.commonpath((root, path)) != root:
        return None
    if os.path.isdir(path):
        path = os.path.join(path, INDEX)
    try:
        with open(path, "rb") as file:
            body = file.read(MAX_ASSET_BYTES + 1)
    except OSError:
        return None
    if len(body) > MAX_ASSET_BYTES:
        raise ApiError(413, f"{name} is larger than {MAX_ASSET_BYTES} bytes")
    kind = _TYPES.get(os.path.splitext(path)[1]) or mimetypes.guess_type(path)[0]
    return Page(body, kind or "application/octet-stream")


def _reply(page: Page, policy: str) -> Reply:
    headers = {
        "Cache-Control": "no-cache",  # kept, and asked about each time: an update shows at once
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "Vary": "Accept-Encoding",
    }
    body, tag = page.body, page.tag
    if "gzip" in bottle.request.get_header("Accept-Encoding", "") and page.compressed is not None:
        body, tag = page.compressed, f"{tag}-gzip"
        headers["Content-Encoding"] = "gzip"
    headers["ETag"] = f'"{tag}"'
    if headers["ETag"] in bottle.request.get_header("If-None-Match", ""):
        return Reply(status=304, content_type=page.content_type, headers=headers)
    return Reply(body, content_type=page.content_type, headers=headers)
