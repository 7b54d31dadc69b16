"""What is wrong with a message, and the status that says so."""

from __future__ import annotations

from frpd.errors import RemoteProtocolError


class HttpError(RemoteProtocolError):
    """A message that we do not pass on; its connection ends after the answer.

    Args:
        status: what a visitor gets, if an answer can still be sent. 502 when
            the service's head is at fault.
        reason: a few words for the log; nothing of the message is quoted in it.
    """

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        self.reason = reason
        super().__init__(f"http: {reason}")
