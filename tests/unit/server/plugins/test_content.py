"""frpd.server.plugins.content: questions as frp asks them, answers as frp reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from frpd.errors import RemoteProtocolError
from frpd.proto.message.types import Login, NewProxy, NewWorkConn
from frpd.server.plugins.content import (
    LOGIN,
    Verdict,
    changed_message,
    content_of,
    question,
    read_verdict,
    user_facts,
)

RECORDED = Path(__file__).parents[3] / "data" / "server_plugin.json"
CALLS = [json.loads(call["body"]) for call in json.loads(RECORDED.read_text())["hook_calls"]]


def without_zeros(value: dict[str, Any]) -> dict[str, Any]:
    """Drop what newer frp leaves out, too."""
    inner = {k: without_zeros(v) if isinstance(v, dict) else v for k, v in value.items()}
    return {name: item for name, item in inner.items() if item}


@pytest.mark.parametrize("call", CALLS, ids=[call["op"] for call in CALLS])
def test_a_question_has_the_fields_that_frp_recorded(call: dict[str, Any]) -> None:
    content = call["content"]
    if call["op"] == LOGIN:
        message: Login | NewProxy = changed_message(Login(frpd={"v": 1}), content)
        facts = {"client_address": "192.0.2.1:5"}
    else:
        message = changed_message(NewProxy(group_strategy="least"), content)
        user = content["user"]
        facts = user_facts(Login(user=user["user"], metas=user["metas"]), "abc")
    asked = json.loads(question(call["op"], content_of(message, facts)))
    assert (asked["version"], asked["op"]) == (call["version"], call["op"])
    shown = without_zeros(asked["content"])
    if call["op"] == LOGIN:
        assert shown.pop("client_address") == "192.0.2.1:5"  # since 0.39
    else:
        assert shown["user"].pop("run_id") == "abc"  # since 0.32.1
    assert shown == without_zeros(content)


def test_what_only_frpd_knows_is_neither_shown_nor_lost() -> None:
    login = Login(user="a", frpd={"v": 1})
    assert content_of(login, {}) == {"user": "a"}
    assert changed_message(login, {"user": "b"}) == Login(user="b", frpd={"v": 1})
    gate = NewProxy("p", allow_cidrs=["::1"], max_connections=1, max_connection_rate="2")
    assert content_of(gate, {}) == {"proxy_name": "p"}
    assert changed_message(gate, {"proxy_name": "p"}) == gate
    work = NewWorkConn("id", nonce=b"n", proof=b"p")
    assert changed_message(work, {"run_id": "x"}) == NewWorkConn("x", nonce=b"n", proof=b"p")


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ({"unchange": True}, Verdict(False, "", None)),
        ({"reject": False, "reject_reason": "", "unchange": True, "content": None},
         Verdict(False, "", None)),
        ({"reject": True, "reject_reason": "no"}, Verdict(True, "no", None)),
        ({"content": {"a": 1}}, Verdict(False, "", {"a": 1})),
        ({}, Verdict(False, "", {})),  # frp, too: neither means an empty content
    ],
)  # fmt: skip
def test_answers(said: dict[str, Any], verdict: Verdict) -> None:
    assert read_verdict(json.dumps(said).encode()) == verdict


@pytest.mark.parametrize(
    "body", [b"", b"no", b"[]", b'{"reject": 1}', b'{"content": []}', b"[" * 100_000]
)
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="answer"):
        read_verdict(body)


def test_a_changed_value_of_another_type_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="remote_port"):
        changed_message(NewProxy(), {"remote_port": "x"})
