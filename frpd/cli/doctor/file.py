"""Whether the file can be used, and the secret that is in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from frpd.cli.complaints import open_to_others
from frpd.cli.doctor.case import Case
from frpd.cli.doctor.finding import Finding, fault, ok, warning
from frpd.cli.verify import (
    GOOD_TOKEN_BYTES,
    checked_client,
    checked_server,
)
from frpd.config.load import Loaded
from frpd.config.secret import Secret
from frpd.errors import ConfigError

MAKE_TOKEN = (
    "write a long random text into token at both ends, such as `openssl rand -hex 24` makes"  # noqa: S105 - advice
)


def check_file(case: Case) -> Iterable[Finding]:
    """Read the file, for the checks that follow too."""
    if case.file is None:
        return [
            warning(
                f"{case.program} does not say which file it runs with",
                "name the file with -c FILE, and much more can be examined",
            )
        ]
    loaded: Loaded[object]
    try:
        if case.program == "frps":
            servers = checked_server(case.file)
            case.server = servers.value
            loaded = Loaded(None, servers.warnings, servers.refusals)
        else:
            clients = checked_client(case.file)
            case.client = clients.value
            loaded = Loaded(None, clients.warnings, clients.refusals)
    except ConfigError as error:
        return [judge_error(case.file.path, str(error))]
    return list(judge_file(case.file.path, loaded.warnings, loaded.refusals))


def judge_error(path: str, error: str) -> Finding:
    """Judge a file that cannot be used."""
    if "permission denied" in error:
        return fault(
            f"{path} cannot be read: {error}", "run the doctor as root or in the group frpd"
        )
    return fault(
        f"{path} cannot be used: {error}",
        f"correct the file, and try it with `frpd-ctl verify -c {path}`",
    )


def judge_file(path: str, warnings: Sequence[str], refusals: Sequence[str]) -> Iterator[Finding]:
    """Judge a file that was read."""
    for text in refusals:
        yield fault(f"{path}: {text}", "take that out of the file: it is not run with")
    for text in warnings:
        yield warning(f"{path}: {text}", "correct or remove that line")
    if not warnings and not refusals:
        yield ok(f"{path} is valid")


def check_rights(case: Case) -> Iterable[Finding]:
    """Look at who can read the file, if the token is in it."""
    common = case.server or (case.client.common if case.client is not None else None)
    if case.file is None or common is None:
        return
    for text in open_to_others(case.file.path, common):
        yield warning(text, f"run `chmod o= {case.file.path}`, as root or its owner")


def check_token(case: Case) -> Iterable[Finding]:
    """Look at how good the token is."""
    if case.server is not None:
        yield judge_token(case.server.token, is_server=True)
    elif case.client is not None:
        yield judge_token(case.client.common.token, is_server=False)


def judge_token(token: Secret, *, is_server: bool) -> Finding:
    """Judge a token by its length alone: nobody can tell how random it is."""
    length = len(token.reveal().encode("utf-8", "surrogateescape"))
    if not length:
        who = "anybody may log in" if is_server else "nothing proves this client to the server"
        return warning(f"there is no token: {who}", MAKE_TOKEN)
    if length < GOOD_TOKEN_BYTES:
        return warning(
            f"the token is weak: it has {length} bytes, so who records a login can guess it",
            MAKE_TOKEN,
        )
    return ok(f"the token has {length} bytes")
