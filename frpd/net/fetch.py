"""JSON by HTTP, from a worker: for identity providers."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from frpd.errors import TransportError

SECONDS: Final = 8.0
MAX_BYTES: Final = 1024 * 1024


def fetch_json(
    url: str, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the JSON object at an address; it blocks. Certificates are checked.

    Args:
        url: of http or https.
        form: what to post; None to get.
        headers: further ones.

    Raises:
        TransportError: it cannot be had, in a sentence without what was posted.
    """
    if not url.startswith(("http://", "https://")):
        raise TransportError(f"{url!r} is no address of http or https")
    body = None if form is None else urlencode(form).encode()
    request = urllib.request.Request(url, body, dict(headers or {}))  # noqa: S310 - see above
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as response:  # noqa: S310 - see above
            data = response.read(MAX_BYTES + 1)
        found = json.loads(data) if len(data) <= MAX_BYTES else None
    except urllib.error.HTTPError as error:
        with error:
            raise TransportError(f"{url}: status {error.code}") from None
    except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
        raise TransportError(f"{url}: {getattr(error, 'reason', error)}") from None
    if not isinstance(found, dict):
        raise TransportError(f"{url}: no JSON object")
    return found
