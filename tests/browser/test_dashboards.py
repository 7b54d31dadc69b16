"""Both dashboards in a browser, over running programs with traffic: what is seen, and done."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from frpd.admin.lock_out import MAX_FAILURES
from tests.helpers.dashboards import LOGIN, Dashboards
from tests.helpers.devtools import PHONE
from tests.helpers.ports import free_port
from tests.helpers.programs import wait_until
from tests.helpers.visitors import echoes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.helpers.devtools import Page
    from tests.helpers.stage import Stage

SECRETS = ("s3cret pass", "s3cr3t-key", "e2e token")
# What has to be read on each page; CLIENT stands for the run id of the client.
FRPS = {
    "": [
        "Connections now",
        "Proxies by type",
        "Server configuration",
        "subdomain_host",
        "Seven days",
    ],
    "proxies": ["ann.web", "shop.example.com, shop.example.test /api", "through a visitor"],
    "proxies/http": ["ann.shop"],
    "proxy/ann.web": ["online", "served by", "Seven days", "127.0.0.1:"],
    "clients": ["ann @", "frpd, sealed", "good"],
    "client/CLIENT": [
        "Connection",
        "Nothing about this connection is known to be weak",
        "ann.private",
    ],
    "config": ["Reload the file"],
    "log": ["Log"],
}
FRPC = {
    "": [
        "Connected",
        "Proxies running\n3 / 4",
        "port not allowed; choose a remote_port",
        "History of the connection",
        "frpd, sealed",
    ],
    "proxy/ann.low": ["refused", "port not allowed", "Nobody is connected"],
    "visitors": ["ann.visit", "ann.private", "running"],
    "editor": ["Review and save"],
    "config": ["Reload the file"],
    "log": ["Log"],
}
WIDER = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def scene(module_stage: Stage) -> Iterator[Dashboards]:
    made = Dashboards(module_stage)
    yield made
    made.close()


def go(page: Page, hash_: str) -> None:
    """Go to another page of the same dashboard."""
    page.evaluate(f"location.hash = {json.dumps('#/' + hash_)}")


def run_id(page: Page) -> str:
    """Return the run id of ann's client."""
    rows = page.evaluate("fetch('/api/clients?status=online').then(answer => answer.json())")
    return next(str(row["key"]) for row in rows if row["user"] == "ann")


def colour(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


@pytest.mark.parametrize(("program", "pages"), [("frps", FRPS), ("frpc", FRPC)])
def test_every_page_shows_what_there_is(
    scene: Dashboards, program: str, pages: dict[str, list[str]]
) -> None:
    with scene.open(program) as page:
        for hash_, words in pages.items():
            if hash_:
                go(page, hash_.replace("CLIENT", run_id(page) if "CLIENT" in hash_ else ""))
            for word in words:
                page.wait_for_text(word, "main")
            text = page.evaluate("document.body.innerText + document.body.innerHTML")
            assert not [secret for secret in SECRETS if secret in text]
        assert page.complaints == []
        port = scene.frps if program == "frps" else scene.frpc
        assert page.hosts == {f"127.0.0.1:{port}"}
    said = scene.tunnel.frps if program == "frps" else scene.tunnel.frpc
    assert said.count("Task queue depth") == 0


@pytest.mark.parametrize(("program", "pages"), [("frps", FRPS), ("frpc", FRPC)])
def test_a_telephone_shows_every_page_without_scrolling_sideways(
    scene: Dashboards, program: str, pages: dict[str, list[str]]
) -> None:
    with scene.open(program, size=PHONE, language="zh-CN") as page:
        page.wait_for_text("概览", "h1")
        for hash_ in pages:
            go(page, hash_.replace("CLIENT", run_id(page) if "CLIENT" in hash_ else ""))
            page.wait("document.querySelector('main .page > :nth-child(2):not(.loading)')")
            assert not page.evaluate(WIDER), hash_


def test_figures_are_live_and_a_chart_is_drawn(scene: Dashboards) -> None:
    with scene.open("frps", "proxy/ann.web") as page:
        page.wait("document.querySelector('.chart canvas')")
        total = "document.querySelector('.figures .figure:nth-child(4) [title]')?.title"
        page.wait(total)
        before = page.evaluate(total)
        page.wait(f"{total} !== {json.dumps(before)}", "another total")
        page.wait("/[1-9].*iB.s/.test(document.querySelector('.figures').innerText)", "a rate")


def test_light_and_dark_follow_the_system_or_the_user(scene: Dashboards) -> None:
    with scene.open("frps") as page:
        light = colour(page)
        page.prefer(dark=True)
        assert colour(page) != light
        page.choose("#theme", "light")
        assert colour(page) == light
        page.open(scene.address("frps", "clients"))
        page.reload()
        page.wait("document.documentElement.dataset.theme === 'light'", "the choice is kept")
        page.choose("#language", "zh")
        page.wait_for_text("客户端", "h1")
        assert page.evaluate("document.documentElement.lang") == "zh-Hans"
        assert colour(page) == light


def test_proxies_are_found_and_sorted(scene: Dashboards) -> None:
    names = "[...document.querySelectorAll('tbody .main')].map(one => one.innerText).join(' ')"
    with scene.open("frps", "proxies") as page:
        page.wait(f"{names} === 'ann.private ann.shop ann.web'", "all of them")
        page.click("thead th:first-child button")
        page.wait(f"{names} === 'ann.web ann.shop ann.private'", "the other way round")
        assert page.evaluate("document.querySelector('thead th').ariaSort") == "descending"
        page.fill("input[type=search]", "shop.EXAMPLE")
        page.wait(f"{names} === 'ann.shop'", "one of them")
        page.fill("input[type=search]", "nothing like that")
        page.wait_for_text("No proxy matches", "main")


def test_the_keyboard_reaches_everything(scene: Dashboards) -> None:
    with scene.open("frps", "proxies") as page:
        page.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        go(page, "clients")
        page.wait("document.activeElement.id === 'title'", "the focus is on the title")
        nameless = (
            "[...document.querySelectorAll('button, a, input, select, textarea')].filter(one =>"
            "!(one.innerText || one.ariaLabel || one.labels?.[0]?.textContent)).length"
        )
        assert page.evaluate(nameless) == 0
        landmarks = (
            "['header', 'nav', 'main', 'footer'].map(n => document.querySelectorAll(n).length)"
        )
        assert page.evaluate(landmarks) == [1, 1, 1, 1]


def test_a_client_is_kicked_only_for_yes(scene: Dashboards) -> None:
    with scene.open("frps", "clients") as page:
        go(page, f"client/{run_id(page)}")
        logins = scene.tunnel.frpc.count("login to server success")
        page.click("#kick")
        page.wait_for_text("It may log in again", "dialog")
        assert page.evaluate("document.activeElement.id") == "dialog-no"
        page.press("Escape")
        page.wait("!document.querySelector('dialog')", "the question is gone")
        assert page.evaluate("document.activeElement.id") == "kick"
        assert scene.tunnel.frpc.count("login to server success") == logins
        page.click("#kick")
        page.click("#dialog-yes")
        page.wait_for_text("The client was kicked", "main")
        came = "login to server success"
        wait_until(lambda: scene.tunnel.frpc.count(came) > logins, "it logs in again")
        wait_until(lambda: echoes(scene.tunnel.ports["web"]), "its proxy is back")


def test_a_proxy_s_connections_are_cut(scene: Dashboards) -> None:
    with scene.open("frps", "proxy/ann.web") as page:
        page.click("#cut")
        page.wait_for_text("The proxy stays", "dialog")
        page.click("#dialog-yes")
        page.wait_for_text("cut.", ".notice.good")
        assert page.complaints == []


def test_an_edit_that_cannot_be_used_is_not_saved(scene: Dashboards) -> None:
    before = scene.tunnel.client_file.read_text()
    with scene.open("frpc", "editor") as page:
        page.wait("document.getElementById('editor')?.value.includes('[web]')", "the file")
        shown = page.evaluate("document.getElementById('editor').value")
        page.fill("#editor", shown + "\n[odd]\ntype = nothing\n")
        page.click("#review")
        page.wait_for_text("[odd] type", ".notice.bad")
        assert page.evaluate("document.getElementById('editor').ariaInvalid") == "true"
        assert not page.evaluate("Boolean(document.querySelector('dialog'))")
        assert scene.tunnel.client_file.read_text() == before


def test_an_edit_is_shown_saved_and_loaded(scene: Dashboards) -> None:
    before = scene.tunnel.client_file.read_text()
    port = free_port()
    with scene.open("frpc", "editor") as page:
        page.wait("document.getElementById('editor')?.value.includes('[web]')", "the file")
        shown = page.evaluate("document.getElementById('editor').value")
        assert "e2e token" not in shown
        more = f"\n[more]\ntype = tcp\nlocal_port = {scene.echo.port}\nremote_port = {port}\n"
        page.fill("#editor", shown + more)
        page.click("#review")
        page.wait_for_text(f"+ remote_port = {port}", "dialog .diff")
        page.wait_for_text("+ ann.more", "dialog .report.added")
        assert scene.tunnel.client_file.read_text() == before
        page.click("#dialog-yes")
        page.wait_for_text("The file was saved and reloaded", "main")
        wait_until(lambda: echoes(port), "the new proxy serves")
        assert "token = e2e token" in scene.tunnel.client_file.read_text()
        scene.tunnel.client_file.write_text(before)
        go(page, "config")
        page.click("#reload")
        page.wait_for_text("ann.more", "dialog .report.removed")
        page.click("#dialog-yes")
        page.wait_for_text("The file was reloaded", "main")
        wait_until(lambda: not echoes(port), "it is gone")


def test_the_settings_are_shown_without_secrets(scene: Dashboards) -> None:
    with scene.open("frps", "config") as page:
        page.wait_for_text("********", "main")
        page.fill("input[type=search]", "vhost_http_p")
        page.wait("document.querySelectorAll('.setting').length === 1", "the one that was meant")
        assert "s3cret" not in page.evaluate("document.body.innerHTML")


def test_the_log_has_the_last_lines(scene: Dashboards) -> None:
    with scene.open("frpc", "log") as page:
        page.wait_for_text("start proxy success", "#log")
        page.fill("input[type=search]", "[low]")
        page.wait(
            "[...document.querySelectorAll('.log-text')].every(e => e.innerText.includes('[low]'))"
        )
        page.choose("#log-level", "debug")
        page.wait_for_text("Logged from now on: debug", "main")
        page.choose("#log-level", "info")
        page.wait_for_text("Logged from now on: info", "main")


def test_figures_are_short_and_differences_are_by_lines(scene: Dashboards) -> None:
    """What the scripts make of numbers and texts, asked of them in their own place."""

    def ask(module: str, call: str) -> object:
        return page.evaluate(f"import('/static/shared/{module}.js').then(m => m.{call})")

    with scene.open("frpc") as page:
        for value, text in (
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (15_000_000, "14.3 MiB"),
        ):
            assert ask("format", f"bytes({value})") == text
        for value, text in ((0, "0 s"), (61, "1 min 1 s"), (86_400, "1 d"), (90_000, "1 d 1 h")):
            assert ask("format", f"duration({value})") == text
        assert ask("format", "bytes(NaN)") == "\u2013"
        call = 'difference("a\\nb\\nc\\nd", "a\\nc\\nx\\nd").map(one => one.kind + one.text)'
        assert ask("diff", call) == [" a", "-b", " c", "+x", " d"]
        many = "'0123456789'.split('').join('\\n')"
        call = f"excerpt(m.difference({many}, {many} + '\\n!'), 1).map(one => one && one.text)"
        assert ask("diff", call) == [None, "9", "!"]


def test_an_address_with_a_password_works(scene: Dashboards) -> None:
    with scene.browser.page() as page:
        login = LOGIN.replace(" ", "%20")
        page.open(f"http://{login}@127.0.0.1:{scene.frps}/")
        page.wait_for_text("Connections now", "main")
        assert page.complaints == []


def test_a_wrong_password_shows_nothing(scene: Dashboards) -> None:
    with scene.browser.page(login="ops:wrong") as page:
        page.open(scene.address("frps"))
        page.wait_for_text("Unauthorized")
        page.log_in(LOGIN)
        page.reload()
        page.wait_for_text("Connections now", "main")


def test_who_guesses_passwords_is_locked_out_and_told_so(scene: Dashboards) -> None:
    """The last one at frpc's dashboard: this machine is locked out of it."""
    with scene.open("frpc") as open_page, scene.browser.page(login="ops:guess") as page:
        for _ in range(MAX_FAILURES - 1):
            page.open(scene.address("frpc"))
            page.wait_for_text("Unauthorized")
            page.open("about:blank")
        page.open(scene.address("frpc"))
        page.wait_for_text("too many wrong passwords; try again in")
        page.log_in(LOGIN)
        page.reload()
        page.wait_for_text("too many wrong passwords; try again in")
        open_page.wait_for_text("too many wrong passwords; try again in", ".notice.bad")


def test_a_daemon_that_is_gone_is_noticed_and_so_is_its_return(scene: Dashboards) -> None:
    """The last one: it ends the scene's frps."""
    with scene.open("frps") as page:
        page.wait_for_text("Live", "#live")
        scene.tunnel.frps.terminate()
        page.wait_for_text("frps does not answer", ".notice.bad")
        page.wait_for_text("What you see is from", ".notice.bad")
        page.wait_for_text("No answer", "#live")
        scene.tunnel.restart_server()
        page.wait_for_text("Live", "#live")
        page.wait("!document.querySelector('.notice.bad')", "the notice is gone")
