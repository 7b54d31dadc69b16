from __future__ import annotations

from frpd.errors import RemoteProtocolError
from frpd.proto.http.errors import HttpError


def test_an_error_has_a_status_for_the_visitor_and_a_reason_for_the_log() -> None:
    error = HttpError(431, "too many fields")
    assert isinstance(error, RemoteProtocolError)
    assert (error.status, error.reason, str(error)) == (
        431,
        "too many fields",
        "http: too many fields",
    )
