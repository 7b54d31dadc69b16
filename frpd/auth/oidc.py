"""frp's method ``oidc``: a signed token of an identity provider, in place of a shared secret.

Source: frp's pkg/auth and the checks of go-oidc. Here are only the checks of a token with
keys that are at hand; who fetches keys and tokens lies elsewhere. A token is
anybody's who has seen it, until it expires: it needs TLS on the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from frpd.auth.token import Signed, SignedLogin, check_version
from frpd.clock import unix_now
from frpd.errors import AuthError

NOT_BEFORE_LEEWAY_SECONDS: Final = 60
"""As go-oidc has it; for the expiry it has none."""
# What a provider may sign with; never a symmetric one, whose key would be public here.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384",
                     "PS512", "EdDSA")  # fmt: skip
MAX_TOKEN_CHARACTERS: Final = 9000
"""More does not fit into a message of frp."""


class KeySource(Protocol):
    """Has a provider's keys, once they were fetched."""

    @property
    def problem(self) -> str:
        """Why there are no keys; "" if there are."""

    def keys(self, key_id: str | None) -> list[Any]:
        """Return the public keys that may have signed: by id, or all."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token has to say."""

    issuer: str
    audience: str = ""
    """Empty: any."""
    skip_expiry: bool = False
    skip_issuer: bool = False


def key_id_of(token: str) -> str | None:
    """Return which key a token says it was signed with; None if it says nothing.

    Raises:
        AuthError: it is no token.
    """
    import jwt  # noqa: PLC0415 - slow to import, and few servers need it

    if len(token) > MAX_TOKEN_CHARACTERS:
        raise AuthError("oidc: malformed jwt: too long")
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
    except (jwt.PyJWTError, RecursionError) as error:  # older ones let the latter through
        raise AuthError(f"oidc: malformed jwt: {error}") from None
    return key_id if isinstance(key_id, str) else None


def subject_of(token: str, source: KeySource, expected: Expected, now_unix: float) -> str:
    """Return whose token it is.

    Raises:
        AuthError: it does not hold.
    """
    claims = _signed_claims(token, source)
    if not expected.skip_issuer and claims.get("iss") != expected.issuer:
        raise AuthError(
            "oidc: id token issued by a different provider, expected"
            f' "{expected.issuer}" got "{claims.get("iss", "")}"'
        )
    audience = claims.get("aud", [])
    audiences = audience if isinstance(audience, list) else [audience]
    if expected.audience and expected.audience not in audiences:
        raise AuthError(f'oidc: expected audience "{expected.audience}" got {audiences}')
    if not expected.skip_expiry:
        _check_times(claims, now_unix)
    subject = claims.get("sub", "")
    return subject if isinstance(subject, str) else ""


def _signed_claims(token: str, source: KeySource) -> Mapping[str, Any]:
    import jwt  # noqa: PLC0415 - see above, slow to import

    key_id = key_id_of(token)
    if source.problem:
        raise AuthError(f"failed to verify signature: {source.problem}", was_checked=False)
    # Issuer, audience and times are checked by us: with frp's leeways and in its words.
    options: Any = {
        f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")
    }
    for key in source.keys(key_id):
        try:
            return jwt.decode(token, key, algorithms=list(ALGORITHMS), options=options)
        except (jwt.PyJWTError, TypeError, ValueError):
            continue
    raise AuthError("failed to verify signature: failed to verify id token signature")


def _check_times(claims: Mapping[str, Any], now_unix: float) -> None:
    expiry, begin = claims.get("exp"), claims.get("nbf")
    if not isinstance(expiry, int | float) or expiry < now_unix:
        raise AuthError(f"oidc: token is expired (Token Expiry: {expiry})")
    if isinstance(begin, int | float) and now_unix + NOT_BEFORE_LEEWAY_SECONDS < begin:
        raise AuthError("oidc: current time before the nbf (not before) time")


@dataclass(slots=True)
class OidcAuthenticator:
    """The server's end, for one session: later tokens are of whoever logged in.

    Attributes:
        source: has the provider's keys.
        expected: what tokens have to say.
        heartbeats: pings need a token too.
        new_work_conns: new work connections need one too.
    """

    source: KeySource
    expected: Expected
    heartbeats: bool = False
    new_work_conns: bool = False
    _subject: str = field(default="", init=False)

    def for_session(self) -> OidcAuthenticator:
        """Return one that knows nobody yet."""
        return OidcAuthenticator(self.source, self.expected, self.heartbeats, self.new_work_conns)

    def verify_login(
        self, login: SignedLogin, now_unix: int, *, proves_later: bool = False
    ) -> None:
        """Check a client's version and token; a sealed session proves another secret.

        Raises:
            AuthError: refused.
        """
        check_version(login.version)
        try:
            self._subject = subject_of(login.privilege_key, self.source, self.expected, now_unix)
        except AuthError as error:
            text = f"invalid OIDC token in login: {error}"
            raise AuthError(text, was_checked=error.was_checked) from None

    def verify_ping(self, ping: Signed) -> None:
        """Check a heartbeat if its scope is on.

        Raises:
            AuthError: refused.
        """
        if self.heartbeats:
            self._verify_later(ping)

    def verify_new_work_conn(self, message: Signed) -> None:
        """Check a new work connection if its scope is on.

        Raises:
            AuthError: refused.
        """
        if self.new_work_conns:
            self._verify_later(message)

    def _verify_later(self, message: Signed) -> None:
        try:
            subject = subject_of(message.privilege_key, self.source, self.expected, unix_now())
        except AuthError as error:
            raise AuthError(f"invalid OIDC token in ping: {error}") from None
        if subject != self._subject:
            raise AuthError(
                "received different OIDC subject in login and ping."
                f" original subject: {self._subject}, new subject: {subject}"
            )
