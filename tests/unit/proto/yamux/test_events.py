from __future__ import annotations

from frpd.proto.yamux.events import Data, GoAwayReceived, OpensResumed, PingAnswered, StreamOpened


def test_events_show_what_they_carry() -> None:
    assert repr(StreamOpened(3)) == "StreamOpened(3)"
    assert repr(Data(3, memoryview(b"abc"))) == "Data(3, 3 bytes)"
    assert repr(GoAwayReceived()) == "GoAwayReceived()"
    assert repr(OpensResumed()) == "OpensResumed()"
    assert repr(PingAnswered(0.5)) == "PingAnswered(0.5)"
