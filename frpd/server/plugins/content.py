"""What is asked of a plugin, and what it answers: messages to JSON and back.

Source: frp's pkg/plugin/server. A question is ``{"version", "op", "content"}``; the
content of most is a message's own fields with facts about its client beside them.
Nothing of our own extensions is shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from frpd.errors import RemoteProtocolError
from frpd.proto.message.codec import message_text, read_text
from frpd.proto.message.types import Login, Message, NewProxy, NewWorkConn

VERSION: Final = "0.1.0"
LOGIN: Final = "Login"
NEW_PROXY: Final = "NewProxy"
CLOSE_PROXY: Final = "CloseProxy"
PING: Final = "Ping"
NEW_WORK_CONN: Final = "NewWorkConn"
NEW_USER_CONN: Final = "NewUserConn"
OPS: Final = (LOGIN, NEW_PROXY, CLOSE_PROXY, PING, NEW_WORK_CONN, NEW_USER_CONN)

_OURS: Final[Mapping[type[Message], tuple[str, ...]]] = {
    Login: ("frpd",),
    NewProxy: (
        "group_strategy",
        "allow_cidrs",
        "deny_cidrs",
        "max_connections",
        "max_connection_rate",
    ),
    NewWorkConn: ("nonce", "proof"),
}

_M = TypeVar("_M", bound=Message | None)
Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One plugin's answer."""

    reject: bool
    reason: str
    changed: Facts | None
    """The content that takes the place of what was asked about; None to leave it."""


def user_facts(login: Login, run_id: str) -> Facts:
    """Return ``user``: which client it is about."""
    return {"user": {"user": login.user, "metas": dict(login.metas), "run_id": run_id}}


def content_of(message: Message | None, facts: Facts) -> Facts:
    """Return the content for a message, if there is one, with what is known beside it."""
    if message is None:
        return facts
    own: Facts = json.loads(message_text(message))
    return facts | {name: value for name, value in own.items() if not name.startswith("frpd")}


def changed_message(message: _M, content: Facts) -> _M:
    """Return the message that a plugin put in the place of this one: all of it.

    Raises:
        RemoteProtocolError: a value does not fit.
    """
    if message is None:
        return message
    changed = type(message)()
    read_text(json.dumps(content), changed)
    # What is between two frpd ends is none of its business.
    for name in _OURS.get(type(message), ()):
        setattr(changed, name, getattr(message, name))
    return changed


def question(op: str, content: Facts) -> bytes:
    """Return the body of a request."""
    asked = {"version": VERSION, "op": op, "content": content}
    return json.dumps(asked, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def read_verdict(body: bytes) -> Verdict:
    """Return what a plugin says.

    Raises:
        RemoteProtocolError: it is no answer.
    """
    try:
        said = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise RemoteProtocolError("the answer is not JSON") from None
    if not isinstance(said, dict):
        raise RemoteProtocolError("the answer is not an object")
    reject, reason = _typed(said, "reject", bool), _typed(said, "reject_reason", str)
    unchange = _typed(said, "unchange", bool)
    # As in frp: who says neither means an empty content.
    content = None if unchange or reject else _typed(said, "content", dict)
    return Verdict(reject, reason, content)


_T = TypeVar("_T")


def _typed(said: Facts, name: str, kind: type[_T]) -> _T:
    value = said.get(name)
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise RemoteProtocolError(f"{name} of the answer is not a {kind.__name__}")
    return value
