"""What two frpd ends offer and choose, as a peer may put it into its login."""

from __future__ import annotations

import json
from collections.abc import Iterator

from frpd.errors import RemoteProtocolError
from frpd.proto.message.codec import read_text
from frpd.proto.message.types import Login
from frpd.proto.native import DEFLATE, FEATURES, SEAL, choose, read_answer, read_public_key
from fuzz.reading import Choices

_OURS = FEATURES | {SEAL, DEFLATE}


def one(data: bytes) -> None:
    """Nothing raises, whatever the shape; only what both have is chosen, no seal without keys."""
    choices = Choices(data)
    form = choices.byte()
    login = Login()
    try:
        read_text('{"frpd":' + choices.rest().decode("utf-8", "replace") + "}", login)
    except RemoteProtocolError:
        return
    offered = login.frpd
    key = read_public_key(offered)
    assert key is None or len(key) == 32
    chosen, answer = choose(offered, _OURS, bytes(32) if form & 1 else None)
    assert chosen <= _OURS
    assert SEAL not in chosen or (key is not None and form & 1)
    assert (answer is None) <= (not chosen)
    assert SEAL not in read_answer(offered, _OURS) or key is not None
    if answer is not None:
        assert read_answer(answer, _OURS) == chosen
        json.dumps(answer)


def seeds() -> Iterator[bytes]:
    """Yield offers and answers."""
    key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    yield b'\x01{"v":1,"features":["seal","half-close","deflate","x"],"pub":"%b"}' % key.encode()
    yield b'\x01{"v":1,"chosen":["seal",1,null],"pub":"%b"}' % key.encode()
    yield b'\0{"v":1.0,"features":{}}'
    yield b"\0[[1e999]]"
