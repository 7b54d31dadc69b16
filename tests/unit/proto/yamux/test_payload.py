from __future__ import annotations

from frpd.proto.yamux.payload import PayloadDue, PayloadRun


def test_runs_and_dues_show_what_they_carry() -> None:
    due = PayloadDue(3, 1000, "a pipe", None)
    assert len(due) == 1000
    assert repr(due) == "PayloadDue(3, 1000 bytes)"
    assert repr(PayloadRun(5, 70000)) == "PayloadRun(5, 70000 bytes)"
