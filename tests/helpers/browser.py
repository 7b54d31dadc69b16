"""Headless Chromium, which finds all hosts behind one pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.helpers.programs import need_tool, wait_until

if TYPE_CHECKING:
    from tests.helpers.stage import Stage
    from tests.helpers.web_world import Pair, World

SECONDS = 60.0  # for a page, on a busy machine
_PROGRAM = "chromium-headless-shell"
_OPTIONS = (
    "--no-sandbox",  # root cannot have one
    "--no-proxy-server",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-port=0",  # or it would end when the page is loaded
)


def report_of_page(stage: Stage, world: World, pair: Pair, address: str) -> str:
    """Open a page in a new browser; return what the page reports in the end."""
    world.mirror.reports.clear()
    rules = ", ".join(
        f"MAP *:{named} 127.0.0.1:{port}"
        for named, port in ((80, pair.http_port), (443, pair.https_port))
    )
    browser = stage.start(
        "browser",
        need_tool(_PROGRAM),
        *_OPTIONS,
        f"--user-data-dir={stage.folder}/profile",
        f"--host-resolver-rules={rules}",
        f"--ignore-certificate-errors-spki-list={world.site.authority.key_pin}",
        address,
        env={"HOME": str(stage.folder), "LANG": "C.UTF-8"},
    )
    try:
        wait_until(
            lambda: world.mirror.reports or browser.process.poll() is not None, "a report", SECONDS
        )
        assert world.mirror.reports, browser.output
        return world.mirror.reports[0]
    finally:
        browser.kill()
