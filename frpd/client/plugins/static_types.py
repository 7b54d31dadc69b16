"""What kind of content a file is, by its name, and by its first bytes where that says nothing.

No file of the system is asked: what a browser is told must not depend on the
machine. Python's own table stands behind ours, which names what webs are made of.
"""

from __future__ import annotations

import mimetypes
import os
import re
from typing import Final

UNKNOWN: Final = "application/octet-stream"
PLAIN: Final = "text/plain"
SNIFF_BYTES: Final = 512

_OWN: Final = {
    ".7z": "application/x-7z-compressed",
    ".apk": "application/vnd.android.package-archive",
    ".avif": "image/avif",
    ".bmp": "image/bmp",
    ".br": "application/x-brotli",
    ".bz2": "application/x-bzip2",
    ".c": PLAIN,
    ".cfg": PLAIN,
    ".conf": PLAIN,
    ".css": "text/css",
    ".csv": "text/csv",
    ".deb": "application/vnd.debian.binary-package",
    ".epub": "application/epub+zip",
    ".flac": "audio/flac",
    ".gif": "image/gif",
    ".gz": "application/gzip",
    ".h": PLAIN,
    ".htm": "text/html",
    ".html": "text/html",
    ".ico": "image/vnd.microsoft.icon",
    ".ini": PLAIN,
    ".iso": "application/x-iso9660-image",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".log": PLAIN,
    ".m3u8": "application/vnd.apple.mpegurl",
    ".m4a": "audio/mp4",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".mkv": "video/x-matroska",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".mpd": "application/dash+xml",
    ".ogg": "audio/ogg",
    ".ogv": "video/ogg",
    ".opus": "audio/ogg",
    ".otf": "font/otf",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".py": PLAIN,
    ".rpm": "application/x-rpm",
    ".rst": PLAIN,
    ".sh": PLAIN,
    ".svg": "image/svg+xml",
    ".tar": "application/x-tar",
    ".tgz": "application/gzip",
    ".toml": PLAIN,
    ".ttf": "font/ttf",
    ".txt": PLAIN,
    ".wasm": "application/wasm",
    ".wav": "audio/wav",
    ".webm": "video/webm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xhtml": "application/xhtml+xml",
    ".xml": "text/xml",
    ".xz": "application/x-xz",
    ".yaml": PLAIN,
    ".yml": PLAIN,
    ".zip": "application/zip",
    ".zst": "application/zstd",
}
# Read when Python starts to know them, before anybody can have had it read more.
_TYPES: Final = {**mimetypes.types_map, **_OWN}
_BINARY: Final = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")


def type_by_name(name: bytes) -> str:
    """Return the Content-Type that a file's name tells, or ""."""
    _, extension = os.path.splitext(name)
    found = _TYPES.get(os.fsdecode(extension.lower()), "")
    return _with_charset(found)


def type_by_content(first: bytes) -> str:
    """Return the Content-Type of a file that begins so: text that shows, or a download.

    Args:
        first: SNIFF_BYTES, or all that there is.
    """
    if _BINARY.search(first):
        return UNKNOWN
    try:
        first.decode("utf-8")
    except UnicodeDecodeError as error:
        is_cut = len(first) >= SNIFF_BYTES and error.reason == "unexpected end of data"
        if not is_cut:
            return UNKNOWN
    return _with_charset(PLAIN)


def _with_charset(found: str) -> str:
    return f"{found}; charset=utf-8" if found.startswith("text/") else found
