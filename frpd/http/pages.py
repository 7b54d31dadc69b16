"""What a visitor of a virtual host is told when no service answers.

Complete responses, the same whoever asks: they name neither a program nor a
version, and no proxy, client or address.
"""

from __future__ import annotations

import math
import os
import stat
from typing import Final

from frpd.errors import ConfigError

MAX_PAGE_BYTES: Final = 1024 * 1024
"""Of a page that the operator brings."""

_HTML: Final = "text/html; charset=utf-8"
_TEXT: Final = "text/plain; charset=utf-8"
_CHALLENGE: Final = 'Basic realm="Restricted"'

_PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{reason}</title>
<style>
body {{ max-width: 35em; margin: 4em auto; padding: 0 1em; font-family: sans-serif; }}
</style>
</head>
<body>
<h1>{reason}</h1>
<p>{sentence}</p>
</body>
</html>
"""

_MEANINGS: Final = {
    400: ("Bad Request", "The request could not be understood."),
    403: ("Forbidden", "This page may not be opened from where you are."),
    404: (
        "Not Found",
        "There is no page at this address, or what serves it is not running at the moment.",
    ),
    408: ("Request Timeout", "The request took too long to arrive."),
    413: ("Content Too Large", "The request carries more than is accepted here."),
    414: ("URI Too Long", "The address of this page is longer than is accepted here."),
    417: ("Expectation Failed", "The request expects what is not offered here."),
    429: ("Too Many Requests", "Too many requests came at once. Please try again later."),
    431: (
        "Request Header Fields Too Large",
        "The request has more headers than are accepted here.",
    ),
    500: ("Internal Server Error", "The request could not be served because of a mistake here."),
    501: ("Not Implemented", "The request asks for something that is not offered here."),
    502: (
        "Bad Gateway",
        "What serves this page cannot be reached, or its answer could not be understood.",
    ),
    503: ("Service Unavailable", "What serves this page is busy. Please try again later."),
    504: ("Gateway Timeout", "What serves this page did not answer in time."),
    505: ("HTTP Version Not Supported", "This version of HTTP is not spoken here."),
}

# status: reason, content type, body, headers of its own. 401 and 407 as frp sends them.
_RESPONSES: Final[dict[int, tuple[str, str, bytes, tuple[tuple[str, str], ...]]]] = {
    401: ("Unauthorized", _TEXT, b"Unauthorized\n", (("WWW-Authenticate", _CHALLENGE),)),
    407: (
        "Proxy Authentication Required",
        _TEXT,
        b"Proxy Authentication Required\n",
        (("Proxy-Authenticate", _CHALLENGE),),
    ),
    **{
        status: (reason, _HTML, _PAGE.format(reason=reason, sentence=sentence).encode(), ())
        for status, (reason, sentence) in _MEANINGS.items()
    },
}


def error_response(
    status: int,
    *,
    close: bool,
    head_only: bool = False,
    page: bytes | None = None,
    extra: tuple[tuple[str, str], ...] = (),
) -> bytes:
    """Return a complete HTTP/1.1 response.

    Args:
        status: 400, 401, 403, 404, 407, 408, 413, 414, 417, 429, 431, 500 to 505.
        close: say that the connection ends here.
        head_only: the request was HEAD: the length is told, the body is not sent.
        page: an HTML page in place of the built-in one.
        extra: headers to add, names and values; they are trusted.
    """
    reason, content_type, body, headers = _RESPONSES[status]
    if page is not None:
        content_type, body = _HTML, page
    lines = [
        f"HTTP/1.1 {status} {reason}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        *(f"{name}: {value}" for name, value in (*headers, *extra)),
    ]
    if close:
        lines.append("Connection: close")
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head if head_only else head + body


def retry_after(seconds: float) -> tuple[tuple[str, str], ...]:
    """Return the header that tells when to come again, for error_response."""
    return (("Retry-After", str(max(1, math.ceil(seconds)))),)


def load_page(path: str) -> bytes:
    """Return the operator's page for 404.

    Raises:
        ConfigError: custom_404_page cannot be read, is no file, or has more than
            MAX_PAGE_BYTES.
    """
    try:
        # Non-blocking: nobody may ever write to a pipe.
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _unusable(path, "not a regular file")
            page = file.read(MAX_PAGE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: NUL in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "bad path"
        raise _unusable(path, reason.lower()) from error
    if len(page) > MAX_PAGE_BYTES:
        raise _unusable(path, f"larger than {MAX_PAGE_BYTES} bytes")
    return page


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _unusable(path: str, reason: str) -> ConfigError:
    return ConfigError(f"cannot use {path}: {reason}", key="custom_404_page")
