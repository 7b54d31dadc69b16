"""Whether the server lets us in; and if not, which of the two ends has to be changed, and how."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from frpd.cli.doctor.banner import greeting, name_of
from frpd.cli.doctor.case import Case
from frpd.cli.doctor.finding import Finding, fault, ok, warning
from frpd.cli.doctor.probe import LoginResult, Outcome, log_in
from frpd.cli.doctor.reach import BY_UDP
from frpd.client.login_attempt import NO_SEAL, NOT_PROVED, NOT_SEALED, STRIPPED
from frpd.config.client import ClientConfig
from frpd.config.params import NO_PARAMS
from frpd.config.secret import Secret
from frpd.entropy import SystemEntropy
from frpd.net.address import join_host_port
from frpd.proto import native

LOGIN_SECONDS: Final = 4.0
STRANGE_BYTES: Final = 16
SET_CLOCK: Final = (
    "compare `date -u` on both machines, and have the wrong one set its clock by NTP"
    " (timedatectl set-ntp true)"
)
MEND: Final = "write the same token into frps.ini and frpc.ini, and restart who was changed"

# What servers of all versions and frpd itself say of a login, and what is to be done about it.
_REFUSALS: Final = (
    (
        r"authorization timeout",
        "the clocks of the two machines differ: the server takes the login for too old",
        SET_CLOCK,
    ),
    (
        rf"authorization failed|doesn't match token|token is not|{re.escape(NOT_PROVED)}",
        "the token is wrong: it is not the server's",
        MEND,
    ),
    (
        re.escape(STRIPPED),
        "somebody on the way makes two frpd ends fall back to frp's weak cipher",
        "set tls_enable = true with tls_trusted_ca_file, or native = require at both ends",
    ),
    (
        f"{re.escape(NOT_SEALED)}|{re.escape(NO_SEAL)}",
        "native = require asks for a sealed session, which cannot be had",
        "use frpd at both ends with the same token, or set native = auto",
    ),
    (
        r"upgrade your frpc|version",
        "the server does not take this version of the protocol",
        "upgrade the server, or ask its operator which versions it takes",
    ),
)
# What TLS says of certificates; see frpd.net.tls.
_CERTIFICATE: Final = (
    (
        r"our certificate has expired",
        "the certificate that we show has expired",
        "renew tls_cert_file here",
    ),
    (
        r"demands? a certificate|refuses our certificate|does not trust our certificate",
        "the server wants a certificate of an authority of its own from us",
        "set tls_cert_file and tls_key_file to what frps' tls_trusted_ca_file has made",
    ),
    (
        r"has expired",
        "the server's certificate has expired",
        "renew tls_cert_file of frps, or set this machine's clock if that is wrong",
    ),
    (
        r"not yet valid",
        "the server's certificate is not valid yet",
        "set the clock of this machine, or look at tls_cert_file of frps",
    ),
    (
        r"mismatch|not valid for",
        "the server's certificate is for another name",
        "set tls_server_name to a name of the certificate, or make one for server_addr",
    ),
    (
        r"certificate of .* is refused",
        "the server's certificate is not from the authority that tls_trusted_ca_file names",
        "set tls_trusted_ca_file to the authority that made tls_cert_file of frps",
    ),
)


@dataclass(frozen=True, slots=True)
class Variant:
    """The same login, with tcp_mux or tls_enable or both the other way round."""

    other_mux: bool
    other_tls: bool

    def of(self, common: ClientConfig) -> ClientConfig:
        """Return those settings.

        Who asks for TLS does not want the token to be heard, not even what has been made
        from it: without TLS a stranger's is sent. Any answer to it tells enough.
        """
        changed = replace(
            common,
            tcp_mux=common.tcp_mux != self.other_mux,
            tls_enable=common.tls_enable != self.other_tls,
        )
        if not self.is_strange(common):
            return changed
        token = Secret(SystemEntropy().token_bytes(STRANGE_BYTES).hex())
        return replace(changed, token=token, native=native.OFF, user="", metas=NO_PARAMS)

    def is_strange(self, common: ClientConfig) -> bool:
        """Whether it takes TLS away, and so does not say who we are."""
        return self.other_tls and common.tls_enable


AS_SET: Final = Variant(other_mux=False, other_tls=False)


def variants(common: ClientConfig) -> list[Variant]:
    """Return what else to try where the login as set has got no answer, the likeliest first."""
    found = [Variant(other_mux=True, other_tls=False)]
    if common.protocol != "wss":  # that is TLS already
        found += [Variant(other_mux=False, other_tls=True), Variant(other_mux=True, other_tls=True)]
    return found


def check_login(case: Case) -> Iterator[Finding]:
    """Log in; where nobody answers, in other ways too."""
    if case.client is None or not case.can_reach:
        return
    common = case.client.common
    if common.authentication_method == "oidc":
        yield warning(
            "the login was not tried: a token of the OIDC provider is frpc's alone to ask for",
            "look at frpd-ctl status, or into the log of frpc",
        )
        return
    (first,) = log_in([common], case.seconds(LOGIN_SECONDS), case.now_unix)
    others: dict[Variant, LoginResult] = {}
    said = b""
    if common.protocol in BY_UDP and not first.is_answered:
        yield _silent(common, first.text)
        return
    if not (first.is_answered or _certificate_trouble(first.text)):
        tries = variants(common)
        results = log_in(
            [one.of(common) for one in tries], case.seconds(LOGIN_SECONDS), case.now_unix
        )
        others = dict(zip(tries, results, strict=True))
        if common.upstream is None and not any(one.is_answered for one in results):
            said = greeting(common.server_addr, common.server_port)
    yield from judge_login(common, first, others, said)


def judge_login(
    common: ClientConfig,
    first: LoginResult,
    others: dict[Variant, LoginResult],
    said: bytes = b"",
) -> Iterable[Finding]:
    """Judge a login.

    Args:
        common: the settings.
        first: what became of it with these.
        others: what became of others, where there was no answer.
        said: the first words of whoever listens there, if nobody has answered any of them.
    """
    where = join_host_port(common.server_addr, common.server_port)
    if first.outcome is Outcome.ENTERED:
        yield ok(f"{where} lets us in: {_how(common, first)}")
        yield from _weak(common, first)
        return
    if first.outcome is Outcome.REFUSED:
        yield _refused(where, first.text)
        return
    answered = next((pair for pair in others.items() if pair[1].is_answered), None)
    if answered is None:
        yield _unanswered(where, first.text, said)
        return
    variant, result = answered
    yield from _differing(common, variant, where)
    if result.outcome is Outcome.REFUSED and not variant.is_strange(common):
        yield _refused(where, result.text)


def _silent(common: ClientConfig, text: str) -> Finding:
    where = join_host_port(common.server_addr, common.server_port)
    return fault(
        f"{where} answers no login by {common.protocol} ({text})",
        f"check that frps has this port as its {BY_UDP[common.protocol]}, and that UDP gets through"
        " the firewalls on the way",
    )


def _how(common: ClientConfig, result: LoginResult) -> str:
    kind = f"frp {result.version}" if not result.features else "frpd"
    words = [kind, common.protocol, f"tcp_mux {'on' if common.tcp_mux else 'off'}"]
    if common.has_tls:
        words.append("TLS")
    if native.SEAL in result.features:
        words.append("sealed")
    return ", ".join(words)


def _weak(common: ClientConfig, result: LoginResult) -> Iterable[Finding]:
    if native.SEAL in result.features:
        return
    if common.has_tls:
        if not common.tls_trusted_ca_file:
            yield warning(
                "TLS is on, but anybody's certificate is taken for the server's",
                "set tls_trusted_ca_file to the authority that made tls_cert_file of frps",
            )
        return
    yield warning(
        "the session uses frp's legacy cipher, which does not notice changes, and payload without"
        " use_encryption can be read on the way",
        "set tls_enable = true, or use frpd with a token at both ends",
    )


def _refused(where: str, text: str) -> Finding:
    for pattern, found, remedy in _REFUSALS:
        if re.search(pattern, text):
            return fault(f"{where} refuses the login: {found} ({text})", remedy)
    return fault(
        f"{where} refuses the login: {text}",
        "ask the server's operator: its log says more about that login",
    )


def _unanswered(where: str, reason: str, said: bytes) -> Finding:
    trouble = _certificate_trouble(reason)
    if trouble:
        found, remedy = trouble
        return fault(f"TLS with {where} fails: {found} ({reason})", remedy)
    name = name_of(said)
    if name:
        return fault(
            f"{where} speaks no frp: it is {name}",
            "check server_addr and server_port against bind_addr and bind_port of frps",
        )
    if said:
        return fault(
            f"{where} speaks no frp: what it says begins with {said[:16]!r}",
            "check server_addr and server_port against bind_addr and bind_port of frps",
        )
    return fault(
        f"{where} takes connections, but answers no login ({reason})",
        "check that it is frps that listens there, and look into its log; a frps that is"
        " overloaded, or guards its door against this address, is silent too",
    )


def _certificate_trouble(reason: str) -> tuple[str, str] | None:
    """Return what is wrong with a certificate, and the remedy; None if that is not why."""
    if not reason.startswith("TLS: "):
        return None
    found = (row[1:] for row in _CERTIFICATE if re.search(row[0], reason))
    return next(found, None)


def _differing(common: ClientConfig, variant: Variant, where: str) -> Iterator[Finding]:
    if variant.other_mux:
        ours, theirs = _on(common.tcp_mux), _on(not common.tcp_mux)
        yield fault(
            f"tcp_mux differs between the ends: it is {ours} here, and {where} answers only with"
            f" {theirs}",
            f"set tcp_mux = {theirs} in frpc.ini, or {ours} in frps.ini, and restart that one",
        )
    if variant.other_tls and common.tls_enable:
        yield fault(
            f"TLS differs between the ends: tls_enable is true here, and {where} answers only"
            " without it",
            "use a server that speaks TLS, as those of 0.25 and later do; or set tls_enable = false"
            " if nobody can listen on the way",
        )
    elif variant.other_tls:
        yield fault(
            f"TLS differs between the ends: tls_enable is false here, and {where} answers only"
            " with it (tls_only)",
            "set tls_enable = true in frpc.ini",
        )


def _on(value: bool) -> str:
    return str(value).lower()
