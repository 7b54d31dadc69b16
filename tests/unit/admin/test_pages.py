"""frpd.admin.pages: how the dashboards' files are sent, and what must be true of the files."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from frpd.admin import pages
from frpd.admin.access import ControlGate, Credentials, TcpGate
from frpd.admin.pages import POLICY
from frpd.admin.web_app import AdminApp
from frpd.config.secret import Secret
from tests.unit.admin.wsgi import Caller

STATIC = Path(pages.__file__).parent / "static"
PROGRAMS = ("frps", "frpc")
FIRST_PAINT_BYTES = 100 * 1024
VENDOR = "shared/vendor/"
IMPORT = re.compile(r'^(?:import|export)\b[^"]*?"(\.[^"]+)"', re.MULTILINE)
# Keys that scripts put together: t(`unit.${unit}`) and word("state", ...).
COMPOSED = re.compile(
    r"(daemon|diff|event|letter|level|port|program|report|state|theme|unit|weak)\..+"
)


def caller(program: str = "frps", assets_dir: str = "") -> Caller:
    app = AdminApp(lambda _environ: ControlGate())
    pages.register(app, program, lambda: assets_dir)
    return Caller(app)


# How they are sent.


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_root_leads_to_the_program_s_page(program: str) -> None:
    ask = caller(program)
    answer = ask.get("/")
    assert (answer.status, answer.headers["Location"]) == (301, "/static/")
    page = ask.get("/static/")
    assert page.status == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert f"<title>{program}</title>" in page.text


def test_a_page_may_load_nothing_from_elsewhere_and_nothing_inline() -> None:
    headers = caller().get("/static/").headers
    assert headers["Content-Security-Policy"] == POLICY
    assert "default-src 'none'" in POLICY
    assert "unsafe" not in POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_a_file_is_compressed_where_that_is_asked_for() -> None:
    ask = caller()
    plain = ask.get("/static/shared/look.css")
    small = ask.get("/static/shared/look.css", Accept_Encoding="br, gzip")
    assert "Content-Encoding" not in plain.headers
    assert small.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(small.body) == plain.body
    assert plain.headers["Vary"] == small.headers["Vary"] == "Accept-Encoding"
    assert plain.headers["Etag"] != small.headers["Etag"]


def test_what_did_not_change_is_not_sent_again() -> None:
    ask = caller()
    first = ask.get("/static/shared/look.css", Accept_Encoding="gzip")
    tag = first.headers["Etag"]
    again = ask.get("/static/shared/look.css", Accept_Encoding="gzip", If_None_Match=f'"x", {tag}')
    assert (again.status, again.body, again.headers["Etag"]) == (304, b"", tag)
    other = ask.get("/static/shared/look.css", If_None_Match=tag)
    assert other.status == 200


def test_the_icon_has_its_old_address_too() -> None:
    answer = caller().get("/favicon.ico")
    assert answer.headers["Content-Type"] == "image/vnd.microsoft.icon"
    assert answer.body.startswith(b"\0\0\1\0")


@pytest.mark.parametrize(
    "name", ["frpc/main.js", "pages.py", "../pages.py", "nothing", "frps/", "shared", "%00"]
)
def test_what_is_not_among_the_program_s_pages_is_not_there(name: str) -> None:
    assert caller("frps").get(f"/static/{name}").status == 404


def test_pages_want_the_same_login_as_the_api() -> None:
    app = AdminApp(lambda _environ: TcpGate(lambda: Credentials("ops", Secret("s3cret"))))
    pages.register(app, "frps", lambda: "")
    for path in ("/", "/static/", "/static/shared/look.css", "/favicon.ico"):
        assert Caller(app).get(path).status == 401


def test_the_operator_s_own_files_take_the_place_of_ours(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("mine")
    (tmp_path / "img").mkdir()
    (tmp_path / "img" / "index.html").write_text("inner")
    (tmp_path / "img" / "a.png").write_bytes(b"png")
    ask = caller(assets_dir=str(tmp_path))
    assert ask.get("/static/").text == "mine"
    assert ask.get("/static/img/").text == "inner"
    picture = ask.get("/static/img/a.png", Accept_Encoding="gzip")
    assert (picture.headers["Content-Type"], picture.body) == ("image/png", b"png")
    assert ask.get("/static/shared/look.css").status == 404
    assert "frame-ancestors 'none'" in picture.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "name", ["../secret", "%2e%2e/secret", "/secret", "link", "%00", "img/../../secret"]
)
def test_nothing_outside_of_the_operator_s_folder_is_sent(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "assets"
    folder.mkdir()
    (tmp_path / "secret").write_text("s3cr3t")
    (folder / "link").symlink_to(tmp_path / "secret")
    assert caller(assets_dir=str(folder)).get(f"/static/{name}").status == 404


def test_a_file_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MAX_ASSET_BYTES", 3)
    (tmp_path / "a").write_text("abcd")
    assert caller(assets_dir=str(tmp_path)).get("/static/a").status == 413


# The files themselves.


def scripts() -> list[Path]:
    return [path for path in sorted(STATIC.rglob("*.js")) if "vendor" not in path.parts]


def modules_of(program: str) -> list[str]:
    """Return the scripts that the first page of a program needs."""
    found: list[str] = []
    waiting = [STATIC / program / "main.js"]
    while waiting:
        path = waiting.pop()
        name = path.relative_to(STATIC).as_posix()
        if name not in found:
            found.append(name)
            waiting += [(path.parent / one).resolve() for one in IMPORT.findall(path.read_text())]
    return found


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_first_paint_is_small(program: str) -> None:
    ask = caller(program)
    names = ["", "shared/early.js", "shared/look.css", "shared/icon.svg", *modules_of(program)]
    answers = [ask.get(f"/static/{name}", Accept_Encoding="gzip") for name in names]
    assert all(answer.status == 200 for answer in answers)
    assert sum(len(answer.body) for answer in answers) < FIRST_PAINT_BYTES
    assert not any(name.startswith(VENDOR) for name in names)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_script_is_loaded_at_once(program: str) -> None:
    page = (STATIC / program / "index.html").read_text()
    early = re.findall(r'rel="modulepreload" href="/static/([^"]+)"', page)
    assert sorted([*early, f"{program}/main.js"]) == sorted(modules_of(program))


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_script_and_no_style_is_inline(program: str) -> None:
    page = (STATIC / program / "index.html").read_text()
    assert re.findall(r"<script[^>]*>[^<]", page) == []
    assert "<style" not in page
    assert re.findall(r"\s(style|on\w+)=", page) == []


def test_no_file_names_another_host() -> None:
    ours = [*scripts(), *STATIC.rglob("*.css"), *STATIC.rglob("*.html")]
    named = {
        address
        for path in ours
        for address in re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", path.read_text())
    }
    assert named == {"http://www.w3.org"}  # the name of SVG, which nobody asks for


def palettes() -> list[dict[str, str]]:
    """Return the colours: light, dark by the system, dark by choice."""
    style = (STATIC / "shared" / "look.css").read_text()
    blocks = re.findall(r":root[^{]*\{([^}]*--page[^}]*)\}", style)
    return [dict(re.findall(r"--([\w-]+): (#\w+);", block)) for block in blocks]


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG counts it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_texts_can_be_read_in_light_and_dark() -> None:
    light, dark, chosen_dark = palettes()
    assert dark == chosen_dark
    for palette in (light, dark):
        for ground in ("page", "card", "raised"):
            for text in ("text", "muted", "accent"):
                assert contrast(palette[text], palette[ground]) >= 4.5, (text, ground)
        for state in ("good", "bad", "warning"):
            for ground in (state + "-soft", "card"):
                assert contrast(palette[state], palette[ground]) >= 4.5, (state, ground)
        assert contrast(palette["on-accent"], palette["accent"]) >= 4.5
        assert contrast(palette["in"], palette["card"]) >= 3
        assert contrast(palette["out"], palette["card"]) >= 3


def texts(language: str) -> dict[str, str]:
    source = (STATIC / "shared" / f"texts-{language}.js").read_text()
    return dict(re.findall(r'^  "([^"]+)": "(.*)",$', source, re.MULTILINE))


def test_both_languages_have_the_same_texts() -> None:
    english, chinese = texts("en"), texts("zh")
    assert list(english) == list(chinese)
    for key, text in english.items():
        blanks = re.findall(r"\{\w+\}", text)
        if blanks and not key.endswith(".one"):
            assert sorted(blanks) == sorted(re.findall(r"\{\w+\}", chinese[key])), key


def test_every_text_is_there_and_used() -> None:
    sources = "".join(path.read_text() for path in scripts() if not path.name.startswith("texts-"))
    used = set(re.findall(r'\bt\(\s*"([^"]+)"', sources))
    used |= set(re.findall(r'\b(?:nav|under): "([^"]+)"', sources))
    known = set(texts("en"))
    assert used - known == set()
    unused = {
        key.removesuffix(".one") for key in known if f'"{key.removesuffix(".one")}"' not in sources
    }
    assert [key for key in unused if not COMPOSED.fullmatch(key)] == []


def test_every_import_leads_somewhere() -> None:
    for path in scripts():
        for name in IMPORT.findall(path.read_text()):
            assert (path.parent / name).is_file(), f"{path}: {name}"


def test_the_library_has_its_licence_beside_it() -> None:
    names = sorted(path.name for path in (STATIC / VENDOR).iterdir())
    assert names == ["uplot-1.6.32.css", "uplot-1.6.32.js", "uplot-LICENSE.txt"]
    assert "MIT License" in (STATIC / VENDOR / "uplot-LICENSE.txt").read_text()
