"""What stands in single fields: credentials, ranges, dates, lists of tags."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from frpd.proto.http.basic import parse_basic
from frpd.proto.http.conditional import Validators, evaluate, format_date, parse_date, range_applies
from frpd.proto.http.errors import HttpError
from frpd.proto.http.fields import is_token, split_list
from frpd.proto.http.head import parse_request
from frpd.proto.http.ranges import MAX_RANGES, content_range, parse_ranges
from fuzz.reading import Choices

_OWN = Validators('"a"', 784111777)
_NAMES = (
    "If-Match", "If-None-Match", "If-Range", "If-Modified-Since", "If-Unmodified-Since",
    "Connection", "Upgrade", "Expect", "Host", "Transfer-Encoding", "Content-Length",
)  # fmt: skip


def one(data: bytes) -> None:
    """Nothing raises but HttpError; spans lie in the file; dates are the same there and back."""
    choices = Choices(data)
    size, name = choices.number(2), _NAMES[choices.byte() % len(_NAMES)]
    value = choices.rest().decode("latin-1")
    parse_basic(value)
    is_token(value)
    assert all(split_list([value]))
    spans = parse_ranges(value, size)
    if spans:
        assert len(spans) <= MAX_RANGES
        assert all(0 <= start < end <= size for start, end in spans)
        assert sum(end - start for start, end in spans) <= size
        content_range(spans[0], size)
    seconds = parse_date(value)
    if seconds is not None:
        assert parse_date(format_date(seconds)) == seconds
    with suppress(HttpError):
        head = parse_request(
            f"GET / HTTP/1.1\r\nHost: a\r\n{name}: {value}\r\n\r\n".encode("latin-1")
        )
        evaluate(head, _OWN)
        range_applies(head, _OWN)


def seeds() -> Iterator[bytes]:
    """Yield values of each kind."""
    for index, value in enumerate(
        (
            "Basic dXNlcjpwYXNz",
            "bytes=0-4, -5, 7-",
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            'W/"a", "b" ,, "c"',
            "close, X-Real-IP, upgrade",
            "100-continue",
            "chunked",
            "12",
        )
    ):
        yield b"\x01\0" + bytes((index,)) + value.encode()
