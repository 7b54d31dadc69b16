"""frpd.metrics.store: what is written is read, within bounds; a bad file is set aside."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING

import pytest

from frpd.metrics import store
from frpd.metrics.statistics import DAY_SECONDS, DAYS, SavedFigures, SavedProxy, local_day
from frpd.metrics.store import load, save

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_800_014_400.0
TODAY = local_day(NOW)
NOTHING = SavedFigures((), (), ())
WEB = SavedProxy("web", "tcp", NOW, ((TODAY, 5, 6), (TODAY - 1, 1, 2)))


def figures(*proxies: SavedProxy, forgotten: tuple[str, ...] = ()) -> SavedFigures:
    return SavedFigures(proxies, ((TODAY, 7, 8),), forgotten)


def found(path: str, now: float = NOW) -> SavedFigures:
    answer = load(path, now)
    assert answer.set_aside == ""
    assert answer.found is not None
    return answer.found


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "frps.sqlite")


def names(saved: SavedFigures) -> list[str]:
    return [one.name for one in saved.proxies]


def test_what_was_saved_is_found(path: str) -> None:
    assert found(path) == NOTHING
    assert save(path, figures(WEB), NOW) == (None, "")
    saved = found(path)
    assert saved.total == ((TODAY, 7, 8),)
    assert saved.proxies == (WEB._replace(days=tuple(sorted(WEB.days))),)


def test_figures_of_a_proxy_replace_its_older_ones(path: str) -> None:
    save(path, figures(WEB, WEB._replace(name="ssh", seen_at=NOW - 9)), NOW)
    save(path, figures(WEB._replace(proxy_type="udp", days=((TODAY, 9, 9),))), NOW)
    ssh, web = found(path).proxies
    assert (web.proxy_type, web.days) == ("udp", ((TODAY, 9, 9),))
    assert len(ssh.days) == 2


def test_what_an_operator_clears_is_forgotten(path: str) -> None:
    save(path, figures(WEB), NOW)
    save(path, figures(forgotten=("web",)), NOW)
    assert found(path).proxies == ()


def test_days_that_nobody_asks_for_any_more_go(path: str) -> None:
    save(path, figures(WEB), NOW)
    later = NOW + (DAYS - 1) * DAY_SECONDS
    assert found(path, later).proxies[0].days == ((TODAY, 5, 6),)
    assert found(path, NOW + (DAYS + 1) * DAY_SECONDS) == NOTHING
    save(path, NOTHING, NOW + (DAYS + 1) * DAY_SECONDS)
    assert found(path) == NOTHING


def test_the_number_of_proxies_is_bounded(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_PROXIES", 2)
    save(path, figures(*(WEB._replace(name=name, seen_at=NOW + ord(name)) for name in "bac")), NOW)
    assert names(found(path)) == ["b", "c"]
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM day").fetchone() == (4,)
    database.close()


@pytest.mark.parametrize("kind", ["text", "another", "newer", "odd", "torn"])
def test_a_file_that_cannot_be_used_is_set_aside(path: str, kind: str, tmp_path: Path) -> None:
    file = tmp_path / "frps.sqlite"
    if kind == "text":
        file.write_text("hello, this is no database " * 100)
    elif kind == "torn":
        save(path, figures(*(WEB._replace(name=f"{n:0500}") for n in range(50))), NOW)
        data = bytearray(file.read_bytes())
        data[4096:] = b"\xff" * (len(data) - 4096)
        file.write_bytes(data)
    else:
        save(path, figures(WEB), NOW)
        database = sqlite3.connect(path)
        database.executescript(
            {
                "another": "PRAGMA user_version = 0",
                "newer": "PRAGMA user_version = 99",
                "odd": "UPDATE day SET bytes_in = 'many'",
            }[kind]
        )
        database.close()
    answer = load(path, NOW)
    assert answer.found == NOTHING
    aside = f"{path}.corrupt-{time.strftime('%Y-%m-%d', time.localtime(NOW))}"
    assert aside in answer.set_aside
    assert not file.exists()
    save(path, figures(WEB), NOW)
    assert names(found(path)) == ["web"]


def test_a_file_that_breaks_while_we_run_is_set_aside_too(path: str, tmp_path: Path) -> None:
    (tmp_path / "frps.sqlite").write_text("hello, this is no database " * 100)
    assert ".corrupt-" in save(path, figures(WEB), NOW).set_aside
    assert save(path, figures(WEB), NOW).set_aside == ""


def test_a_folder_that_is_not_there_is_an_error_and_not_the_file_s_fault(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        save(str(tmp_path / "nowhere" / "frps.sqlite"), figures(WEB), NOW)


def test_a_full_disk_is_an_error_and_keeps_what_was_there(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(path, figures(WEB), NOW)
    real = sqlite3.connect

    def small(*args: object, **more: object) -> sqlite3.Connection:
        database = real(*args, **more)  # type: ignore[call-overload]
        database.execute("PRAGMA max_page_count = 1")
        return database  # type: ignore[no-any-return]

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", small)
        many = [WEB._replace(name=f"{number:0500}") for number in range(100)]
        with pytest.raises(sqlite3.OperationalError, match="full"):
            save(path, figures(*many), NOW)
    assert names(found(path)) == ["web"]
