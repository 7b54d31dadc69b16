from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.proto.http.basic import challenge, parse_basic


def basic(pair: bytes) -> str:
    return f"Basic {b64encode(pair).decode()}"


@pytest.mark.parametrize(
    ("value", "credential"),
    [
        ("Basic YTpi", ("a", "b")),
        ("basic YTpi", ("a", "b")),
        ("BASIC   YTpi", ("a", "b")),
        (basic(b"a:b:c"), ("a", "b:c")),
        (basic(b":"), ("", "")),
        (basic(b"user:"), ("user", "")),
        (basic(b":password"), ("", "password")),
        (basic("caf\xe9:日本".encode()), ("caf\xe9", "日本")),
        (basic(b"caf\xe9:x"), ("caf\xe9", "x")),
        (basic(b"abc"), None),  # no colon
        (basic(b""), None),
        ("", None),
        ("Basic", None),
        ("YTpi", None),
        ("Bearer YTpi", None),
        ("Basic YTpi x", None),
        ("Basic YTpi ", None),
        ("Basic\tYTpi", None),
        ("Basic YTpi==", None),
        ("Basic YTo", None),  # no padding
        ("Basic YTo==", None),
        ("Basic YT o=", None),
        ("Basic YTp=", None),  # bits that nobody reads
        ("Basic YTo=YTo=", None),
        ("Basic YTp_", None),  # the other alphabet
        ("Basic YTpi\n", None),
        ("Ba\u017fic YTpi", None),  # casefolds to an s
    ],
)
def test_credentials_are_strict(value: str, credential: tuple[str, str] | None) -> None:
    assert parse_basic(value) == credential


@given(st.text().filter(lambda text: ":" not in text), st.text())
def test_what_was_encoded_is_read(user: str, password: str) -> None:
    assert parse_basic(basic(f"{user}:{password}".encode())) == (user, password)


@given(st.text(max_size=20))
def test_any_text_is_a_credential_or_none(text: str) -> None:
    parse_basic(text)
    parse_basic(f"Basic {text}")


def test_the_challenge_is_frp_s() -> None:
    assert challenge() == 'Basic realm="Restricted"'
    assert challenge('a"b\\') == 'Basic realm="a\\"b\\\\"'
