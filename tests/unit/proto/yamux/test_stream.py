from __future__ import annotations

import pytest

from frpd.proto.yamux.stream import TRANSITIONS, Stream, StreamInput, StreamState


@pytest.mark.parametrize("state", StreamState)
def test_every_state_has_a_row(state: StreamState) -> None:
    assert state in TRANSITIONS


@pytest.mark.parametrize(
    ("inputs", "state"),
    [
        ([], StreamState.OPEN),
        ([StreamInput.END], StreamState.LOCAL_ENDED),
        ([StreamInput.PEER_FIN], StreamState.PEER_ENDED),
        ([StreamInput.END, StreamInput.PEER_FIN], StreamState.GONE),
        ([StreamInput.PEER_FIN, StreamInput.END], StreamState.GONE),
        ([StreamInput.RESET], StreamState.GONE),
        ([StreamInput.END, StreamInput.RESET], StreamState.GONE),
        ([StreamInput.PEER_FIN, StreamInput.RESET], StreamState.GONE),
    ],
)
def test_legal_moves(inputs: list[StreamInput], state: StreamState) -> None:
    stream = Stream(262144, 262144)
    for what in inputs:
        assert stream.allows(what)
        assert stream.move(what) is stream.state
    assert stream.state is state


@pytest.mark.parametrize("twice", [StreamInput.END, StreamInput.PEER_FIN])
def test_no_direction_ends_twice(twice: StreamInput) -> None:
    stream = Stream(262144, 262144)
    stream.move(twice)
    assert not stream.allows(twice)
    with pytest.raises(KeyError):
        stream.move(twice)
