"""Tokens of identity providers, as a client may show them before it has logged in."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, Final

import jwt

from frpd.auth.oidc import Expected, key_id_of, subject_of
from frpd.errors import AuthError
from fuzz.reading import Choices

_HEADER: Final = '{"alg":"EdDSA","typ":"JWT","kid":"k"}'
_CLAIMS: Final = '{"iss":"https://i","aud":"frps","sub":"s","exp":2000000000}'
_EXPECTED: Final = Expected("https://i", "frps")


WORDS: Final = (b'"alg":', b'"kid":', b'"typ":', b'"crit":[', b'"b64":', b"EdDSA", b"none", b"null")


class _Keys:
    """A provider with one key, which nobody here can sign with."""

    problem = ""

    def keys(self, _key_id: str | None) -> list[Any]:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - slow
            Ed25519PublicKey,
        )

        return [Ed25519PublicKey.from_public_bytes(bytes(31) + b"\x40"), "no key", None]


def one(data: bytes) -> None:
    """Only AuthError comes out, and nobody is let in."""
    choices = Choices(data)
    form = choices.byte()
    text = choices.rest()
    if form & 1:
        header, _, claims = text.partition(b"\0")
        token = ".".join((_coded(header), _coded(claims or _CLAIMS.encode()), _coded(bytes(64))))
    else:
        token = text.decode("utf-8", "replace")
    for read in (key_id_of, lambda shown: subject_of(shown, _Keys(), _EXPECTED, 1.0)):
        try:
            found = read(token)
        except AuthError as error:
            str(error).encode()
            assert not isinstance(error, jwt.PyJWTError)
        else:
            assert read is key_id_of, found


def _coded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def seeds() -> Iterator[bytes]:
    """Yield tokens, and headers that are none."""
    token = ".".join((_coded(_HEADER.encode()), _coded(_CLAIMS.encode()), _coded(bytes(64))))
    yield b"\0" + token.encode()
    yield b"\x01" + _HEADER.encode()
    yield b"\x01" + json.dumps({"alg": "none", "crit": ["b64"], "b64": False}).encode()
    yield b"\x01" + b"[" * 6000
    yield b"\x01" + b'{"alg":' + b"9" * 5000 + b"}"
    yield b"\x01" + _HEADER.encode() + b"\0" + b"[" * 3000
    yield b"\0a.b.c"
