"""HeadStart: the work begins at once, and its result or its error is there for who asks."""

from __future__ import annotations

import threading

import pytest

from frpd.cli.head_start import HeadStart


def test_the_work_begins_before_anybody_asks() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        assert go_on.wait(60)
        return "made"

    start = HeadStart(work)
    assert begun.wait(60)
    go_on.set()
    assert (start.result(), start.result()) == ("made", "made")


def test_an_error_is_that_of_who_asks() -> None:
    def fail() -> None:
        raise MemoryError("no 32 MiB")

    start = HeadStart(fail)
    with pytest.raises(MemoryError, match="no 32 MiB"):
        start.result()
