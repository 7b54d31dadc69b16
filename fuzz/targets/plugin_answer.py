"""Answers of server plugins, and what they make of a message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from frpd.errors import RemoteProtocolError
from frpd.proto.message.codec import read_text
from frpd.proto.message.types import CloseProxy, Login, Message, NewProxy, NewWorkConn, Ping
from frpd.server.plugins.content import (
    changed_message,
    content_of,
    question,
    read_verdict,
    user_facts,
)
from fuzz.reading import Choices

_MESSAGES: tuple[type[Message], ...] = (Login, NewProxy, CloseProxy, Ping, NewWorkConn)


WORDS: Final = (
    b'"reject":', b'"reject_reason":', b'"unchange":', b'"content":{', b'"frpd":', b'"metas":{',
    b'"user":', b'"proxy_name":', b'"custom_domains":[', b"1e999", b"NaN", b"null", b"true",
)  # fmt: skip


def one(data: bytes) -> None:
    """Only RemoteProtocolError comes out; whatever a client says can be asked about."""
    choices = Choices(data)
    form = choices.byte()
    kind = _MESSAGES[form % len(_MESSAGES)]
    text = choices.rest()
    message = kind()
    if form & 128:
        try:
            read_text(text.decode("utf-8", "replace"), message)
        except RemoteProtocolError:
            return
        login = Login(user="u", metas={"a": "b"})
        facts = {} if isinstance(message, Login) else user_facts(login, "r")
        content = content_of(message, facts)
        assert "frpd" not in content
        question(kind.__name__, content)
        again = changed_message(message, content)
        assert content_of(again, facts) == content
        return
    try:
        verdict = read_verdict(text)
        if verdict.changed is not None:
            changed_message(message, verdict.changed)
            question(kind.__name__, verdict.changed)
    except RemoteProtocolError:
        return
    assert isinstance(verdict.reason, str)


def seeds() -> Iterator[bytes]:
    """Yield verdicts, and messages."""
    for text in (
        b'{"reject":false,"unchange":true}',
        b'{"reject":true,"reject_reason":"no"}',
        b'{"unchange":false,"content":{"user":"x","metas":{"a":"b"},"pool_count":NaN}}',
        b'{"content":{"proxy_name":"p","custom_domains":["a"],"remote_port":1e999}}',
        b"[" * 1500,
        b'{"content":' + b'{"a":' * 960 + b"1" + b"}" * 961,
    ):
        for form in range(3):
            yield bytes((form,)) + text
    for text in (
        b'{"user":"u","metas":{"a":"b"},"frpd":{"v":1,"features":["seal"],"x":1e999}}',
        b'{"frpd":{"a":' + b"[" * 900 + b"]" * 900 + b"}}",
        b'{"user":"\\ud800","frpd":{"\\ud800":"\\udfff"}}',
    ):
        yield b"\x82" + text
    yield b"\x85" + b'{"frpd":{"v":1,"x":1e999}}'
