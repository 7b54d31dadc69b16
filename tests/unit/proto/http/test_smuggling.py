"""Every request of the corpus gets its answer, however it is cut."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frpd.proto.http.errors import HttpError
from frpd.proto.http.head import Limits, head_end, parse_request
from frpd.proto.http.rewrite import RequestRules, render_request
from tests.unit.proto.http.corpus import CASES, Case, Message, read_request

ACCEPTED = [case for case in CASES if case.status == 200]
REFUSED = [case for case in CASES if case.status != 200]
SHORT = [case for case in CASES if len(case.request) < 1000]


def outcome(pieces: Iterator[bytes]) -> tuple[int, dict[str, str]]:
    """Return status and facts."""
    try:
        message = read_request(pieces)
    except HttpError as error:
        return error.status, {}
    assert message is not None
    return 200, facts(message)


def facts(message: Message) -> dict[str, str]:
    head = message.head
    found = {"method": head.method, "target": head.target, "host": head.host, "path": head.path}
    found["body"] = message.payload.decode("latin-1")
    if message.rest:
        found["rest"] = message.rest.decode("latin-1")
    return found


def cut(data: bytes, places: list[int]) -> Iterator[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return (data[start:end] for start, end in itertools.pairwise(ends))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_request_gets_its_answer(case: Case) -> None:
    assert outcome(iter([case.request])) == (case.status, case.facts)


@pytest.mark.parametrize("case", SHORT, ids=str)
def test_byte_by_byte_as_well(case: Case) -> None:
    pieces = (bytes((byte,)) for byte in case.request)
    assert outcome(pieces) == (case.status, case.facts)


@given(case=st.sampled_from(CASES), places=st.lists(st.integers(0, 50_000), max_size=6))
@settings(max_examples=150, deadline=None)
def test_any_cut_as_well(case: Case, places: list[int]) -> None:
    assert outcome(cut(case.request, places)) == (case.status, case.facts)


@pytest.mark.parametrize("case", ACCEPTED, ids=str)
def test_an_accepted_request_says_whether_it_is_the_last(case: Case) -> None:
    message = read_request([case.request])
    assert message is not None
    assert message.head.wants_close == case.closes


@pytest.mark.parametrize("case", [case for case in REFUSED if case.at == "body"], ids=str)
def test_what_is_wrong_with_a_body_is_not_its_head(case: Case) -> None:
    parse_request(case.request[: head_end(case.request)])


@pytest.mark.parametrize("case", ACCEPTED, ids=str)
def test_what_goes_to_the_service_means_the_same(case: Case) -> None:
    message = read_request([case.request])
    assert message is not None
    sent = render_request(message.head, RequestRules(visitor_ip="192.0.2.1"))
    again = read_request([sent + message.raw_body], Limits(field_count=110))  # ours are more
    assert again is not None
    assert again.head.version == (1, 1)
    before, after = facts(message), facts(again)
    for found in (before, after):
        found.pop("rest", None)
        found.pop("target")
    assert after == before
    assert again.rest == b""


def test_the_corpus_is_as_large_as_it_was() -> None:
    assert len(REFUSED) >= 200
    assert len(ACCEPTED) >= 40
