"""LoginAttempt: from a fresh control stream to a session, as with a Go frps or with an frpd.

Of a sealed login the client believes nothing before the server has proved that
it knows the token and saw the same login. One that is not sealed, although we
could, still finds out whether somebody took the offer out on its way.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass

from frpd.auth.token import Credential
from frpd.config.client import ClientConfig
from frpd.entropy import Entropy
from frpd.errors import ConnectionLost, FrpError, RemoteProtocolError, TransportError
from frpd.net.endpoint import Endpoint
from frpd.proto import deflate, native
from frpd.proto.ciphers import IV_BYTES
from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import EMULATED_VERSION, Login, LoginResp, Message
from frpd.proto.seal import SealedControl
from frpd.proto.seal_keys import (
    C2S,
    KEY_BYTES,
    MARK_RANDOM_BYTES,
    S2C,
    SessionKeys,
    is_marked,
    make_marked_iv,
    public_key,
    transcript_hash,
)
from frpd.proto.seal_session import SessionSeal
from frpd.proto.wrappers import CipherCodec
from frpd.selector_loop import SelectorLoop, Timer
from frpd.transports.messages import MessageStream

ANSWER_SECONDS = 10.0
STRIPPED = "the offer was stripped: someone on the way makes two frpd ends fall back"
NOT_PROVED = (
    "authorization failed: the server does not know our token, or someone on the way"
    " changed the login"
)
NOT_SEALED = (
    "the server agrees to no sealed session, which native = require asks for: use an frpd"
    " server that has the same token and is not set to native = off"
)
NO_KEY_SENT = " (with native = require no key is sent that an end without seal could check)"
NO_ANSWER = "the server closed the connection without an answer"
TLS_ONLY = "; if it takes TLS only, set tls_enable = true"
NO_SEAL = "native = require needs a token: it is what seals the session"

# Go's names for what uname calls otherwise.
GO_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm"}


def make_login(common: ClientConfig, credential: Credential, run_id: str) -> Login:
    """Return what a client says of itself; ``run_id`` is "" before it has been given one."""
    # With native = require the token's key would only tell; an OIDC token is asked for beside it.
    is_required = common.native == native.REQUIRE and common.authentication_method == "token"
    return Login(
        version=EMULATED_VERSION,
        hostname=platform.node(),
        os="linux",
        arch=GO_ARCHITECTURES.get(os.uname().machine, os.uname().machine),
        user=common.user,
        privilege_key="" if is_required else credential.privilege_key,
        timestamp=credential.timestamp,
        run_id=run_id,
        metas=dict(common.metas),
        pool_count=common.pool_count,
    )


def closed_hint(config: ClientConfig) -> str:
    """Return what may be wrong if the server closes where a login should be answered."""
    return "" if config.has_tls else TLS_ONLY


class Offer:
    """What one login offers.

    Args:
        config: ours.
        psk: the token, stretched; None if it cannot be.
        entropy: for keys.
    """

    def __init__(self, config: ClientConfig, psk: bytes | None, entropy: Entropy) -> None:
        self.is_required = config.native == native.REQUIRE
        self.closed_hint = closed_hint(config)
        self._psk = psk
        self._entropy = entropy
        self.features = native.willing(
            config.native,
            mux=config.shares_connection,
            deflates=deflate.IS_WORTH_IT,
            seals=psk is not None,
        )
        self._private_key = b"" if psk is None else entropy.token_bytes(KEY_BYTES)

    def object(self) -> dict[str, object] | None:
        """Return the object for Login.frpd."""
        if not self.features:
            return None
        own = public_key(self._private_key) if self._private_key else None
        return native.offer(self.features, own)

    def seal(self, login: bytes, resp: bytes, answer: LoginResp) -> SessionSeal:
        """Return the keys that the two logins make; they prove themselves.

        Raises:
            RemoteProtocolError: the server's public key is not usable.
        """
        theirs = native.read_public_key(answer.frpd)
        assert self._psk is not None
        assert theirs is not None
        keys = SessionKeys(
            psk=self._psk,
            private_key=self._private_key,
            peer_public_key=theirs,
            transcript=transcript_hash(login, resp),
        )
        return SessionSeal(keys, is_client=True)

    def legacy_cipher(self, key: bytes) -> CipherCodec:
        """Return the cipher of frp; if we had offered a seal, it says so to who can read it."""
        iv, psk = self._entropy.token_bytes(IV_BYTES), self._psk
        if psk is None:
            return CipherCodec(key, iv)
        known = psk

        def check(theirs: bytes) -> None:
            if is_marked(known, S2C, theirs):
                raise RemoteProtocolError(STRIPPED)

        return CipherCodec(key, make_marked_iv(psk, C2S, iv[-MARK_RANDOM_BYTES:]), check)


@dataclass(frozen=True, slots=True)
class Entry:
    """A login that succeeded."""

    stream: MessageStream
    """The control stream, encrypted or sealed."""
    answer: LoginResp
    features: frozenset[str]
    seal: SessionSeal | None = None


class LoginAttempt:
    """Sends Login and waits for the answer and its proof, under a deadline.

    Exactly one of the three calls is made, unless closed.

    Args:
        loop: the loop.
        endpoint: for the control stream; owned from now on.
        login: what to say; the offer is added to it.
        offer: fresh.
        cipher_key: of frp's cipher.
        on_entered: the server has let us in.
        on_refused: it has not, and why.
        on_failed: there is no answer.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        endpoint: Endpoint,
        login: Login,
        offer: Offer,
        *,
        cipher_key: bytes,
        on_entered: Callable[[Entry], None],
        on_refused: Callable[[str], None],
        on_failed: Callable[[TransportError], None],
    ) -> None:
        self._offer = offer
        self._cipher_key = cipher_key
        self._on_entered = on_entered
        self._on_refused = on_refused
        self._on_failed = on_failed
        login.frpd = offer.object()
        self._frame = encode_message(login)
        self._timer: Timer = loop.call_later(ANSWER_SECONDS, self._timed_out)
        self._stream = MessageStream(loop, endpoint, self._on_message, self._on_end)
        self._stream.send_bytes(self._frame)

    def close(self) -> None:
        """Give up silently. Idempotent."""
        self._timer.cancel()
        self._stream.abort()

    def _on_message(self, message: Message) -> None:
        if not isinstance(message, LoginResp):
            self._fail(f"unexpected {type(message).__name__} as answer to login")
        elif message.error:
            hint = NO_KEY_SENT if self._offer.is_required else ""
            self._refuse(message.error + hint)
        else:
            self._agree(message)

    def _agree(self, answer: LoginResp) -> None:
        stream, offer = self._stream, self._offer
        features = native.read_answer(answer.frpd, offer.features)
        if native.SEAL in features:
            seal = offer.seal(self._frame, stream.last_frame, answer)
            self._seal(Entry(stream, answer, features, seal), seal.control())
        elif offer.is_required:
            self._refuse(NOT_SEALED)
        else:
            self._timer.cancel()
            stream.encrypt(offer.legacy_cipher(self._cipher_key))
            self._on_entered(Entry(stream, answer, features))

    def _seal(self, entry: Entry, control: SealedControl) -> None:
        def proved() -> None:
            self._timer.cancel()
            entry.stream.send_bytes(control.start())
            self._on_entered(entry)

        def ended(error: FrpError | None) -> None:
            if isinstance(error, RemoteProtocolError):
                self._refuse(f"{NOT_PROVED} ({error})")
            else:
                self._on_end(error)

        entry.stream.on_end = ended
        entry.stream.seal(control, proved)

    def _on_end(self, error: FrpError | None) -> None:
        is_closed = error is None or isinstance(error, ConnectionLost)
        self._fail(f"{error or NO_ANSWER}{self._offer.closed_hint if is_closed else ''}")

    def _timed_out(self) -> None:
        self._fail(f"no answer to login within {ANSWER_SECONDS:g} s")

    def _refuse(self, reason: str) -> None:
        self._timer.cancel()
        self._stream.close()
        self._on_refused(reason)

    def _fail(self, reason: str) -> None:
        self.close()
        self._on_failed(TransportError(reason))
