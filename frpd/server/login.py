"""LoginDesk: from a Login to a client that is let in, as a Go frpc or as an frpd.

A sealed login has two steps: we answer and prove that we know the token, then
the client does. Between them nothing is registered, replaced, opened or
counted, and the door's deadline goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from frpd.auth.oidc import OidcAuthenticator
from frpd.auth.token import TokenAuthenticator
from frpd.auth.vouched import VOUCHED
from frpd.clock import unix_now
from frpd.config.server import ServerConfig
from frpd.entropy import Entropy
from frpd.errors import AuthError, FrpError, LimitError, PluginError, RemoteProtocolError
from frpd.log import get_logger
from frpd.net.address import join_host_port
from frpd.proto import deflate, native
from frpd.proto.ciphers import IV_BYTES
from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import EMULATED_VERSION, Login, LoginResp, Message
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
from frpd.server.connection import Connection
from frpd.server.guard.penalties import Offence
from frpd.server.inbox import Inbox
from frpd.server.key_ring import KeyRing
from frpd.server.login_keys import LoginKeys
from frpd.server.plugins.chain import Hooks
from frpd.server.plugins.content import LOGIN, NEW_WORK_CONN
from frpd.server.users import Users
from frpd.transports.messages import MessageStream

RUN_ID_BYTES = 8
STRIPPED = "the offer was stripped: someone on the way makes two frpd ends fall back"

_log = get_logger("frpd.server.login")


@dataclass(slots=True, eq=False)
class Arrival:
    """A client on its way in; ``keys`` are those that its login is checked with."""

    connection: Connection
    stream: MessageStream
    login: Login
    keys: LoginKeys
    run_id: str = ""
    features: frozenset[str] = frozenset()
    seal: SessionSeal | None = None
    auth: TokenAuthenticator | OidcAuthenticator | None = None
    """Checks what the session says; None until its login is checked."""
    is_cleared: bool = False
    """No server plugin has anything against it, or none is to be asked."""

    @property
    def user(self) -> str:
        """As it says."""
        return self.login.user


class Resident(Protocol):
    """Who has a run id already."""

    @property
    def is_sealed(self) -> bool:
        """Whether its session is sealed."""


class LoginDesk:
    """Decides about logins. Loop thread only.

    Args:
        config: of the server.
        keys: what logins are checked with.
        users: say who may come in as whom.
        entropy: for run ids and keys.
        residents: who is in, by run id.
        hooks: are asked about logins.
        told: what a client may hear of an error.
        admit: lets a client in, in the place of whoever has its run id; its
            stream is encrypted, or sealed and proved.
    """

    def __init__(
        self,
        config: ServerConfig,
        keys: KeyRing,
        entropy: Entropy,
        *,
        users: Users,
        residents: Mapping[str, Resident],
        hooks: Hooks,
        told: Callable[[str, str], str],
        admit: Callable[[Arrival], None],
    ) -> None:
        self._entropy = entropy
        self._users = users
        self._residents = residents
        self._hooks = hooks
        self._told = told
        self._admit = admit
        self.use(config, keys)

    def use(self, config: ServerConfig, keys: KeyRing) -> None:
        """Decide by these from now on."""
        self._mode = config.native
        self._udp_port = config.bind_udp_port
        self._keys = keys

    def login(self, connection: Connection, stream: MessageStream, login: Login) -> bool:
        """See Identities.login; a login that may be sealed waits for the stretched token."""
        keys = self._keys.of(login.user, connection.source)
        arrival = Arrival(connection, stream, login, keys, is_cleared=not self._hooks.want(LOGIN))
        if self._is_vouched(arrival):
            arrival.auth = VOUCHED
        is_settled = arrival.is_cleared and keys.provider is None
        if is_settled and not _has_to_wait(arrival):
            return self._decide(arrival)

        def not_yet(message: Message) -> None:
            reason = f"a {type(message).__name__} ahead of the answer to the login"
            connection.first_message_failed(stream, reason)

        stream.on_message = not_yet
        if _has_to_wait(arrival):
            self._wait(arrival)
            return True
        return self._decide(arrival)

    def _is_vouched(self, arrival: Arrival) -> bool:
        """Whether the SSH gateway knows who it is; a user's own token is only that user's key."""
        connection, keys = arrival.connection, arrival.keys
        local = connection.local
        if local is None or not local.is_vouched:
            return False
        if self._keys.remark(arrival.user, connection.source):
            return False
        return not keys.user or keys.user == local.user

    def _wait(self, arrival: Arrival) -> None:
        arrival.keys.secret.when_ready(lambda: self._decide_late(arrival))

    def _decide_late(self, arrival: Arrival) -> None:
        if not arrival.stream.is_open:
            return
        arrival.keys = self._keys.of(arrival.user, arrival.connection.source)
        if _has_to_wait(arrival):  # the token has changed meanwhile
            self._wait(arrival)
            return
        try:
            if not self._decide(arrival):
                arrival.connection.end_after(arrival.stream)
        except RemoteProtocolError as error:
            arrival.connection.first_message_failed(arrival.stream, str(error))

    def _decide(self, arrival: Arrival) -> bool:
        """Answer the login; False = refused."""
        login = arrival.login
        willing = native.willing(
            self._mode,
            mux=arrival.connection.is_mux,
            deflates=deflate.IS_WORTH_IT,
            seals=arrival.keys.secret.value is not None,
        )
        if self._hooks.want(NEW_WORK_CONN):
            willing -= {native.DIRECT_STREAM}  # of those no work connection is asked about
        private = self._private_key(willing, login)
        own = None if private is None else public_key(private)
        arrival.features, answer = native.choose(login.frpd if willing else None, willing, own)
        if not (arrival.is_cleared or native.SEAL in arrival.features):
            self._ask(arrival, self._decide_late)
            return True
        if arrival.auth is None:
            arrival.auth = arrival.keys.auth.for_session()
            if arrival.keys.provider is not None:
                arrival.keys.when_ready(login, lambda: self._decide_late(arrival))
                return True
        is_sealed = native.SEAL in arrival.features
        try:
            self._check(arrival, sealed=is_sealed)
            arrival.run_id = login.run_id or self._entropy.token_bytes(RUN_ID_BYTES).hex()
            if not is_sealed:
                self._users.check_comer(arrival)
        except AuthError as error:
            self._refuse(arrival, str(error), is_its_fault=error.was_checked)
            return False
        resp = LoginResp(
            version=EMULATED_VERSION,
            run_id=arrival.run_id,
            server_udp_port=self._udp_port,
            frpd=answer,
        )
        if is_sealed:
            assert private is not None
            self._seal(arrival, encode_message(resp), private)
        else:
            arrival.stream.send(resp)
            if arrival.connection.local is None:
                arrival.stream.encrypt(self._legacy_cipher(arrival))
            self._admit(arrival)
        return True

    def _ask(self, arrival: Arrival, then: Callable[[Arrival], None]) -> None:
        """Ask the server plugins; in frp's order, ahead of the check of what they may change."""

        def done(changed: Login) -> None:
            arrival.login, arrival.is_cleared = changed, True
            then(arrival)

        def refused(error: PluginError) -> None:
            if arrival.stream.is_open:
                self._refuse(arrival, str(error), is_its_fault=error.was_asked)
                arrival.connection.end_after(arrival.stream)

        connection = arrival.connection
        address = join_host_port(*connection.peer_host_port())
        self._hooks.ask(
            LOGIN,
            arrival.run_id or connection.source,
            arrival.login,
            {"client_address": address},
            on_done=done,
            on_refused=refused,
        )

    def _private_key(self, willing: frozenset[str], login: Login) -> bytes | None:
        if native.SEAL in willing and native.read_public_key(login.frpd) is not None:
            return self._entropy.token_bytes(KEY_BYTES)
        return None

    def _check(self, arrival: Arrival, *, sealed: bool) -> None:
        login = arrival.login
        is_remote = arrival.connection.local is None
        if self._mode == native.REQUIRE and not sealed and is_remote:
            raise AuthError(
                "this server takes sealed sessions only (native = require): use an frpd client"
                " that has the same token and is not set to native = off"
            )
        assert arrival.auth is not None
        arrival.auth.verify_login(login, unix_now(), proves_later=sealed)
        resident = self._residents.get(login.run_id)
        if resident is not None and resident.is_sealed and not sealed:
            raise AuthError(f"run id [{login.run_id}] belongs to a sealed session")

    def _refuse(self, arrival: Arrival, reason: str, *, is_its_fault: bool) -> None:
        connection = arrival.connection
        if is_its_fault:
            connection.accuse(Offence.AUTHFAIL)
        remark = self._keys.remark(arrival.user, connection.source)
        reported = f"{reason} ({remark})" if remark else reason
        connection.when_proven(
            lambda: _log.warning("%s: login refused: %s", connection.peer, reported)
        )
        told = self._told(reason, "register control error")
        arrival.stream.send(LoginResp(version=EMULATED_VERSION, error=told))

    # Sealed.

    def _seal(self, arrival: Arrival, resp: bytes, private: bytes) -> None:
        """Answer, prove ourselves, and let the client in once it has done the same."""
        psk, theirs = arrival.keys.secret.value, native.read_public_key(arrival.login.frpd)
        assert psk is not None
        assert theirs is not None
        stream = arrival.stream
        keys = SessionKeys(
            psk=psk,
            private_key=private,
            peer_public_key=theirs,
            transcript=transcript_hash(stream.last_frame, resp),
        )
        arrival.seal = SessionSeal(keys, is_client=False)
        control = arrival.seal.control()

        def ended(error: FrpError | None) -> None:
            remark = self._keys.remark(arrival.user, arrival.connection.source)
            why = remark or error or "it left"
            reason = f"the client did not prove that it knows the token ({why})"
            arrival.connection.first_message_failed(stream, reason, Offence.AUTHFAIL)

        arrival.connection.if_it_leaves = Offence.AUTHFAIL
        stream.on_end = ended
        stream.send_bytes(resp + control.start())
        stream.seal(control, lambda: self._proved(arrival))

    def _proved(self, arrival: Arrival) -> None:
        """Let it in, unless a server plugin has something against it."""
        if arrival.is_cleared:
            self._let_in(arrival)
            return

        def hand_on(message: Message) -> None:
            arrival.stream.on_message(message)  # its session's by then

        inbox = Inbox(hand_on)

        def early(message: Message) -> None:
            try:
                inbox.receive(message)
            except LimitError as error:
                arrival.connection.first_message_failed(arrival.stream, str(error))

        def admit(arrival: Arrival) -> None:
            if arrival.stream.is_open and self._let_in(arrival):
                inbox.go_on()

        arrival.stream.on_message = early
        inbox.hold()
        self._ask(arrival, admit)

    def _let_in(self, arrival: Arrival) -> bool:
        """Let it in unless its user may not; it has proved itself, so it may hear that."""
        try:
            self._users.check_comer(arrival)
        except AuthError as error:
            self._refuse(arrival, str(error), is_its_fault=error.was_checked)
            arrival.connection.end_after(arrival.stream)
            return False
        self._admit(arrival)
        return True

    # Legacy.

    def _legacy_cipher(self, arrival: Arrival) -> CipherCodec:
        """Return the cipher of frp; if nobody offered a seal, it says that we could."""
        offered = native.read_public_key(arrival.login.frpd) is not None
        keys = arrival.keys
        psk = keys.secret.value
        if self._mode == native.OFF or offered or not keys.can_seal:
            return CipherCodec(keys.cipher_key, self._entropy.token_bytes(IV_BYTES))
        iv = self._entropy.token_bytes(IV_BYTES)
        if psk is not None:
            iv = make_marked_iv(psk, S2C, iv[-MARK_RANDOM_BYTES:])
        return CipherCodec(
            keys.cipher_key, iv, check_iv=lambda theirs: self._check_iv(arrival, theirs)
        )

    def _check_iv(self, arrival: Arrival, iv: bytes) -> None:
        """Refuse a client that could do better, and whose offer we did not see."""
        secret = arrival.keys.secret

        def is_stripped() -> bool:
            return secret.value is not None and is_marked(secret.value, C2S, iv)

        def check() -> None:
            if is_stripped():
                arrival.stream.fail(RemoteProtocolError(STRIPPED))

        if is_stripped():
            raise RemoteProtocolError(STRIPPED)
        if secret.is_pending:
            secret.when_ready(check)


def _has_to_wait(arrival: Arrival) -> bool:
    return arrival.keys.secret.is_pending and native.read_public_key(arrival.login.frpd) is not None
