"""frpd.errors: how a ConfigError says where."""

from __future__ import annotations

import pytest

from frpd.errors import ConfigError


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ({}, "is wrong"),
        ({"path": "f.ini"}, "f.ini: is wrong"),
        ({"path": "f.ini", "line": 3}, "f.ini:3: is wrong"),
        ({"path": "f.ini", "line": 3, "section": "web"}, "f.ini:3 [web]: is wrong"),
        (
            {"path": "f.ini", "line": 3, "section": "web", "key": "type"},
            "f.ini:3 [web] type: is wrong",
        ),
        ({"section": "web"}, "[web]: is wrong"),
        ({"key": "log_file"}, "log_file: is wrong"),
    ],
)
def test_a_config_error_says_what_is_known_of_the_place(where: dict[str, str], text: str) -> None:
    assert str(ConfigError("is wrong", **where)) == text  # type: ignore[arg-type]  # line is an int
