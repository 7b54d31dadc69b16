"""RetryTokens: good from one address, for one id and for a while."""

from __future__ import annotations

import pytest

from frpd.transports.quic_retry import TOKEN_KEY_BYTES, TOKEN_SECONDS, RetryTokens

TOKENS = RetryTokens(bytes(TOKEN_KEY_BYTES))
SENDER = ("192.0.2.1", 4000)
TOKEN = TOKENS.make(b"original", SENDER, b"retry-id", 100.0)


def test_a_token_says_what_was_put_in_it() -> None:
    assert TOKENS.read(TOKEN, SENDER, b"retry-id", 100.0 + TOKEN_SECONDS) == b"original"


@pytest.mark.parametrize(
    ("token", "sender", "retry_id", "now"),
    [
        (TOKEN, ("192.0.2.2", 4000), b"retry-id", 101.0),
        (TOKEN, ("192.0.2.1", 4001), b"retry-id", 101.0),
        (TOKEN, SENDER, b"retry-ie", 101.0),
        (TOKEN, SENDER, b"", 101.0),
        (TOKEN, SENDER, b"retry-id", 101.0 + TOKEN_SECONDS),
        (TOKEN, SENDER, b"retry-id", 99.0),
        (TOKEN[:-1], SENDER, b"retry-id", 101.0),
        (b"\1" + TOKEN[1:], SENDER, b"retry-id", 101.0),
        (TOKEN + bytes(40), SENDER, b"retry-id", 101.0),
        (b"", SENDER, b"retry-id", 101.0),
    ],
)
def test_any_other_token_is_none(
    token: bytes, sender: tuple[str, int], retry_id: bytes, now: float
) -> None:
    assert TOKENS.read(token, sender, retry_id, now) is None


def test_nothing_can_be_shifted_from_an_id_into_the_address() -> None:
    theirs = TOKENS.make(b"a" * 8 + b"\0x 1", ("y", 2), b"r", 1.0)
    assert TOKENS.read(theirs[:16] + theirs[-16:], ("x", 1), b"r", 1.0) is None
