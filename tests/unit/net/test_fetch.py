"""frpd.net.fetch: a JSON object, or a sentence."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from frpd.errors import TransportError
from frpd.net import fetch
from frpd.net.fetch import fetch_json
from tests.helpers.oidc_provider import OidcProvider
from tests.helpers.ports import free_port


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    provider = OidcProvider()
    yield provider
    provider.close()


def test_an_object_is_returned(provider: OidcProvider) -> None:
    assert list(fetch_json(f"{provider.issuer}/jwks")) == ["keys"]


def test_a_status_is_told_and_nothing_of_what_was_posted(provider: OidcProvider) -> None:
    with pytest.raises(TransportError) as caught:
        fetch_json(provider.token_url, {"client_secret": "hush"})
    assert str(caught.value) == f"{provider.token_url}: status 401"


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "ftp://127.0.0.1/"])
def test_only_http_is_fetched(url: str) -> None:
    with pytest.raises(TransportError, match="no address of http"):
        fetch_json(url)


def test_nobody_there() -> None:
    with pytest.raises(TransportError, match="refused"):
        fetch_json(f"http://127.0.0.1:{free_port()}/")


def test_what_is_too_large_is_no_object(
    provider: OidcProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fetch.MAX_BYTES == 1024 * 1024
    monkeypatch.setattr(fetch, "MAX_BYTES", 10)
    with pytest.raises(TransportError, match="no JSON object"):
        fetch_json(f"{provider.issuer}/jwks")
