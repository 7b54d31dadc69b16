"""frpd.config.problems: what a load has to say is kept whole, in order and with its place."""

from __future__ import annotations

import pytest

from frpd.config.problems import ConfigErrors, Origin, Problems, located
from frpd.errors import ConfigError

HERE = Origin("/etc/frp/frps.ini", 7)


def raised(problems: Problems, *, strict: bool = False) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        problems.raise_errors(strict=strict)
    return caught.value


def test_place_is_in_the_text_and_apart() -> None:
    error = located("bad", HERE, "common", "token")
    assert str(error) == "/etc/frp/frps.ini:7 [common] token: bad"
    assert (error.path, error.line) == HERE
    assert (error.section, error.key, error.message) == ("common", "token", "bad")


@pytest.mark.parametrize(
    ("origin", "section", "key", "text"),
    [
        (HERE, None, None, "/etc/frp/frps.ini:7: bad"),
        (HERE, "a", None, "/etc/frp/frps.ini:7 [a]: bad"),
        (None, "a", "k", "[a] k: bad"),
        (None, None, "k", "k: bad"),
        (None, None, None, "bad"),
    ],
)
def test_only_what_is_known_of_the_place_is_named(
    origin: Origin | None, section: str | None, key: str | None, text: str
) -> None:
    assert str(located("bad", origin, section, key)) == text


def test_nothing_noted_raises_nothing() -> None:
    Problems().raise_errors(strict=True)


def test_one_error_is_raised_as_itself() -> None:
    problems = Problems()
    problems.error("bad", HERE, "a", "k")
    assert raised(problems) is problems.errors[0]


def test_several_errors_are_raised_together_a_line_each_in_order() -> None:
    problems = Problems()
    for key in ("z", "a"):
        problems.error("bad", HERE, "s", key)
    error = raised(problems)
    assert isinstance(error, ConfigErrors)
    assert error.errors == tuple(problems.errors)
    assert str(error).splitlines() == [
        "/etc/frp/frps.ini:7 [s] z: bad",
        "/etc/frp/frps.ini:7 [s] a: bad",
    ]


def test_a_warning_is_told_once_per_place() -> None:
    problems = Problems()
    for line in (7, 7, 8):
        problems.warn("odd", Origin("x.ini", line), "a", "k")
    assert problems.warnings == ["x.ini:7 [a] k: odd", "x.ini:8 [a] k: odd"]


def test_warnings_and_refusals_end_a_strict_load_only() -> None:
    problems = Problems()
    problems.refuse("no TLS", HERE, "common", "tls_only")
    problems.warn("odd")
    problems.raise_errors()
    for _ in range(2):
        assert str(raised(problems, strict=True)).splitlines() == [
            "odd",
            "/etc/frp/frps.ini:7 [common] tls_only: no TLS",
        ]


def test_a_strict_load_tells_errors_first() -> None:
    problems = Problems()
    problems.warn("odd")
    problems.error("bad")
    assert str(raised(problems, strict=True)) == "bad\nodd"
    assert str(raised(problems)) == "bad"
