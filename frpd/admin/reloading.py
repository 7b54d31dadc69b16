"""Endpoints: reload a file, see what that would change, and check a text that is no file yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from frpd.admin.loop_calls import LoopCalls
from frpd.admin.reload import Plan, Reload, ReloadReport, code_of
from frpd.admin.web_app import AdminApp, ApiError, body_string, flag
from frpd.errors import ConfigError

RELOAD_SECONDS: Final = 30.0
MAX_TEXT_BYTES: Final = 1024 * 1024

OnDone = Callable[[ReloadReport], None]
Object = dict[str, object]


def reload_with(calls: LoopCalls, reload: Reload | None, plan: Plan | None) -> Callable[[], Object]:
    """Return a handler that reloads, or says what a reload would change, and reports."""

    def handle() -> Object:
        if reload is None:
            raise ApiError(501, "reload is not possible here", code=1)
        strict = flag("strict") or flag("strictConfig")
        if flag("dry_run"):
            report = foretell(calls, plan, strict=strict)
        else:

            def begin(done: OnDone) -> None:
                reload(strict, done)

            report = calls.ask_for(begin, RELOAD_SECONDS)
        if report.error:
            raise ApiError(400, report.error, code=report.code or 1)
        return {"code": 0, "msg": "", **_changes(report)}

    return handle


def check_with(
    app: AdminApp,
    calls: LoopCalls,
    plan: Plan | None,
    complete: Callable[[str], str] = lambda text: text,
) -> None:
    """Register what checks a text.

    Args:
        app: the application.
        calls: to the loop.
        plan: None where the program runs without a file.
        complete: puts back what the operator was not shown of the file; raises ConfigError.
    """

    def check() -> Object:
        try:
            text = complete(body_string("text", most=MAX_TEXT_BYTES))
        except ConfigError as error:
            report = ReloadReport(error=str(error), code=code_of(error))
        else:
            report = foretell(calls, plan, text=text)
        return {"error": report.error, "code": report.code, **_changes(report)}

    # It changes nothing, but no page of another origin is to have files of ours read.
    app.change("POST", "/api/frpd/check", check)


def foretell(
    calls: LoopCalls, plan: Plan | None, *, text: str | None = None, strict: bool = False
) -> ReloadReport:
    """Return what a reload would do.

    Raises:
        ApiError: the program runs without a file.
    """
    if plan is None:
        raise ApiError(501, "there is no file to reload", code=1)

    def begin(done: OnDone) -> None:
        plan(strict, text, done)

    return calls.ask_for(begin, RELOAD_SECONDS)


def _changes(report: ReloadReport) -> Object:
    fields = report._asdict()
    del fields["error"], fields["code"]
    return fields
