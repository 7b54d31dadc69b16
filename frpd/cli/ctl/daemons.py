"""Find the program that runs: by its file, by its control socket, or where sockets are by default.

``the_daemon`` is for commands that talk to one program, ``all_daemons`` for those that show all
that there are. A Daemon has answered once, so it is known to be one of ours.
"""

from __future__ import annotations

import argparse
import grp
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

from frpd.admin import control_socket
from frpd.cli.admin_client import SECONDS, Answer, Target, call
from frpd.cli.ctl.files import GROUP, Ways, add_file_flags, ways_of
from frpd.errors import FrpError, TransportError

ABOUT: Final = "/api/frpd/status"
RELOAD_SECONDS: Final = 40.0
"""More than a daemon gives itself."""
NAME_A_DAEMON: Final = "name its file with -c FILE, or its control socket with --socket PATH"

Object = Mapping[str, Any]


class CtlError(FrpError):
    """What was asked is not so, or cannot be done; one line that says why, and the remedy."""


class UnreachableError(CtlError):
    """No program of ours answers there.

    Args:
        message: one line.
        nobody: whether nobody listens there at all.
    """

    def __init__(self, message: str, *, nobody: bool) -> None:
        super().__init__(message)
        self.nobody = nobody


class NotFoundError(CtlError):
    """The program knows nothing of that name."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """A program that runs, and has answered.

    Attributes:
        target: how it is asked.
        about: what it said about itself: the answer of ``/api/frpd/status``.
        file: its file, if it was found by that one.
    """

    target: Target
    about: Object = field(repr=False)
    file: str = ""

    @property
    def program(self) -> str:
        """``frps`` or ``frpc``."""
        return str(self.about["program"])

    def get(self, path: str, **parameters: object) -> Any:
        """Return what GET of a path answers; parameters that are "" or None are left out.

        Raises:
            CtlError: there is no answer, or it is an error.
        """
        given = {name: value for name, value in parameters.items() if value not in ("", None)}
        return self._ask("GET", f"{path}?{urlencode(given)}" if given else path, None)

    def send(self, method: str, path: str, body: object = None, *, seconds: float = SECONDS) -> Any:
        """Have something changed; return the answer.

        Raises:
            CtlError: there is no answer, or it is an error.
        """
        return self._ask(method, path, body, seconds)

    def again(self) -> Daemon:
        """Return it as it is now.

        Raises:
            CtlError: it does not answer any more.
        """
        return greet(self.target, self.file)

    def _ask(self, method: str, path: str, body: object, seconds: float = SECONDS) -> Any:
        answer = ask(self.target, method, path, body, seconds)
        if answer.is_ok:
            return answer.json()
        if answer.status == 404:
            raise NotFoundError(answer.message())
        raise CtlError(answer.message() or f"{self.target.where}: status {answer.status}")


def in_path(name: str) -> str:
    """Return a name as a part of a path."""
    return quote(name, safe="")


def add_daemon_flags(parser: argparse.ArgumentParser, *, sides: bool = True) -> None:
    """Add the flags that name a program that runs; ``sides`` as in add_file_flags."""
    add_file_flags(parser, sides=sides)
    parser.add_argument(
        "--socket",
        metavar="PATH",
        default=argparse.SUPPRESS,
        help=f"control socket (default: the one in {control_socket.RUN_FOLDER})",
    )


def the_daemon(options: argparse.Namespace, program: str = "") -> Daemon:
    """Return the one program that is meant.

    Args:
        options: of add_daemon_flags.
        program: ``frps`` or ``frpc`` for a command that only one of them knows.

    Raises:
        ConfigError: the file that was named cannot be used.
        CtlError: it does not run, or may not be asked, or it is not clear which one is meant.
    """
    found = all_daemons(options)
    wanted = program or _side(options)
    alive = [one for one in found if isinstance(one, Daemon)]
    fitting = [one for one in alive if wanted in ("", one.program)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(f"{one.program} at {one.target.where}" for one in fitting)
        raise CtlError(f"more than one runs: {names}: {NAME_A_DAEMON}")
    if alive and (options.config or options.socket):
        raise CtlError(
            f"{alive[0].target.where} is of {alive[0].program}, and this is for {wanted}"
        )
    errors = [one for one in found if isinstance(one, CtlError)]
    raise errors[0] if errors else CtlError(f"no {wanted} is found: {NAME_A_DAEMON}")


def all_daemons(
    options: argparse.Namespace, *, seconds: float = SECONDS
) -> Sequence[Daemon | CtlError]:
    """Return each program that is meant, or why it does not answer; there is at least one.

    Args:
        options: of add_daemon_flags.
        seconds: how long each may take to answer.

    Raises:
        ConfigError: the file that was named cannot be used.
        CtlError: there is nothing where sockets are by default.
    """
    if options.config and options.socket:
        raise CtlError("-c and --socket both name a program: give one of them")
    if options.config:
        return [_by_file(ways_of(options), seconds)]
    if options.socket:
        return [_greeted(Target(options.socket), seconds)]
    found = [_greeted(Target(path), seconds) for path in _default_sockets()]
    # What a program that is no more has left behind says nothing if another one answers.
    rest = [one for one in found if not (isinstance(one, UnreachableError) and one.nobody)]
    return rest or found


def greet(target: Target, file: str = "", *, seconds: float = SECONDS) -> Daemon:
    """Ask a program who it is.

    Raises:
        CtlError: nobody answers, or who does is none of ours.
    """
    answer = ask(target, "GET", ABOUT, seconds=seconds)
    about = answer.json()
    if answer.status == 404 or (answer.is_ok and not isinstance(about, dict)):
        raise CtlError(
            f"{target.where} is none of frpd's: Go frp has frpc status and its dashboard"
        )
    if not answer.is_ok or not isinstance(about, dict) or "program" not in about:
        raise CtlError(f"{target.where}: {answer.message() or f'status {answer.status}'}")
    return Daemon(target, about, file)


def ask(
    target: Target, method: str, path: str, body: object = None, seconds: float = SECONDS
) -> Answer:
    """Ask once; what keeps us from an answer becomes one line with its remedy.

    Raises:
        CtlError: there is no answer, or we may not ask.
    """
    try:
        answer = call(target, method, path, body=body, seconds=seconds)
    except TransportError as error:
        raise _unreachable(target, error) from error
    if answer.status == 401:
        raise CtlError(
            f"{target.where}: wrong user or password; if they were changed in the file, "
            "the program has to read it again"
        )
    if answer.status == 403 and target.path:
        raise CtlError(f"{target.path}: permission denied: {remedy_of(target.path)}")
    return answer


def remedy_of(path: str) -> str:
    """Return who may use a control socket, as advice."""
    try:
        group = grp.getgrgid(os.stat(path).st_gid).gr_name
    except (OSError, KeyError):
        group = GROUP
    return "run as root" if group == "root" else f"run as root or as a member of group {group}"


def _side(options: argparse.Namespace) -> str:
    if options.server or options.client:
        return "frps" if options.server else "frpc"
    return ""


def _by_file(ways: Ways, seconds: float) -> Daemon | CtlError:
    """Try the ways to a program; return the first that leads to it, or what is wrong with them."""
    errors: list[CtlError] = []
    for target in ways.targets:
        try:
            daemon = greet(target, ways.file, seconds=seconds)
        except CtlError as error:
            errors.append(error)
            continue
        if daemon.program == ways.program and _is_of(daemon, ways):
            return daemon
        file = daemon.about.get("config_file") or "another file"
        errors.append(CtlError(f"{target.where} is of {daemon.program} with {file}"))
    nobody = all(isinstance(one, UnreachableError) and one.nobody for one in errors)
    says = "; ".join(map(str, errors))
    if nobody:
        return UnreachableError(f"{ways.program} of {ways.file} does not run: {says}", nobody=True)
    return CtlError(says)


def _is_of(daemon: Daemon, ways: Ways) -> bool:
    """Whether a program runs with a file; who has the default socket need not be it."""
    file: str = daemon.about.get("config_file", "")
    if not (daemon.target.path and ways.is_default_socket and file):
        return True
    return os.path.realpath(file) == os.path.realpath(ways.file)


def _greeted(target: Target, seconds: float) -> Daemon | CtlError:
    try:
        return greet(target, seconds=seconds)
    except CtlError as error:
        return error


def _default_sockets() -> list[str]:
    folder = control_socket.RUN_FOLDER
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".sock"))
    except FileNotFoundError:
        names = []
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CtlError(f"{folder}: {reason}: {remedy_of(folder)}") from error
    if not names:
        raise CtlError(
            f"neither frps nor frpc runs with a control socket in {folder}: {NAME_A_DAEMON}"
        )
    return [os.path.join(folder, name) for name in names]


def _unreachable(target: Target, error: TransportError) -> UnreachableError:
    cause, where = error.__cause__, target.where
    if isinstance(cause, ConnectionRefusedError):
        return UnreachableError(f"nobody listens at {where}", nobody=True)
    if target.path and isinstance(cause, FileNotFoundError):
        return UnreachableError(f"there is no control socket {where}", nobody=True)
    if target.path and isinstance(cause, PermissionError):
        return UnreachableError(f"{where}: permission denied: {remedy_of(where)}", nobody=False)
    if isinstance(cause, TimeoutError):
        reason = "no answer in time"
    elif isinstance(cause, OSError):
        reason = (cause.strerror or str(cause)).lower()
    else:
        reason = str(cause or error)
    return UnreachableError(f"{where}: {reason}", nobody=False)
