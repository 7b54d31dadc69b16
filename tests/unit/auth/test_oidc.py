"""frpd.auth.oidc without a network; what a provider's tokens do is in test_provider_keys."""

from __future__ import annotations

import base64
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from frpd.auth.oidc import (
    MAX_TOKEN_CHARACTERS,
    Expected,
    OidcAuthenticator,
    key_id_of,
    subject_of,
)
from frpd.auth.token import Credential
from frpd.errors import AuthError
from frpd.proto.message.types import Login

KEY = ec.generate_private_key(ec.SECP256R1())
EXPECTED = Expected("https://id", "frp")


class Keys:
    """A source that has one."""

    problem = ""

    def keys(self, key_id: str | None) -> list[Any]:
        return [] if key_id == "other" else [KEY.public_key()]


def token(key_id: str | None = None, **claims: Any) -> str:
    said = {"iss": "https://id", "aud": "frp", "sub": "ann", "exp": int(time.time()) + 60}
    return jwt.encode(said | claims, KEY, "ES256", {} if key_id is None else {"kid": key_id})


def test_whose_it_is_and_which_key_it_names() -> None:
    assert subject_of(token("k"), Keys(), EXPECTED, time.time()) == "ann"
    assert (key_id_of(token("k")), key_id_of(token())) == ("k", None)


def test_a_header_that_is_nested_too_deeply_is_no_token() -> None:
    header = base64.urlsafe_b64encode(b"[" * 6000).decode()
    with pytest.raises(AuthError, match="malformed jwt"):
        key_id_of(f"{header}.e30.AA")


def test_a_token_may_be_so_long() -> None:
    with pytest.raises(AuthError, match="too long"):
        key_id_of("a" * (MAX_TOKEN_CHARACTERS + 1))
    with pytest.raises(AuthError, match=r"malformed jwt: (?!too long)"):
        key_id_of("a" * MAX_TOKEN_CHARACTERS)


def test_an_unknown_key_signs_nothing() -> None:
    with pytest.raises(AuthError, match="failed to verify id token signature"):
        subject_of(token("other"), Keys(), EXPECTED, time.time())


def test_a_session_knows_its_own_subject_only() -> None:
    both = OidcAuthenticator(Keys(), EXPECTED, heartbeats=True, new_work_conns=True)
    ann, eve = both.for_session(), both.for_session()
    ann.verify_login(Login(version="0.51.3", privilege_key=token()), 0)
    eve.verify_login(Login(version="0.51.3", privilege_key=token(sub="eve")), 0)
    ann.verify_ping(Credential(token()))
    with pytest.raises(AuthError, match="original subject: ann, new subject: eve"):
        ann.verify_new_work_conn(Credential(token(sub="eve")))
    eve.verify_new_work_conn(Credential(token(sub="eve")))


def test_out_of_its_scope_nothing_is_asked() -> None:
    neither = OidcAuthenticator(Keys(), EXPECTED)
    neither.verify_ping(Credential())
    neither.verify_new_work_conn(Credential())


def test_an_old_client_is_told_so_first() -> None:
    with pytest.raises(AuthError, match="upgrade"):
        OidcAuthenticator(Keys(), EXPECTED).verify_login(Login(version="0.17.0"), 0)
