from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.config.problems import Problems
from frpd.config.template import render
from frpd.errors import ConfigError


def rendered(text: str, **environ: str) -> list[tuple[str, int]]:
    return [(line, origin.line) for line, origin in render(text, "x.ini", environ, Problems())]


def test_value_is_put_in_place() -> None:
    assert rendered("a {{ .Envs.X }}b{{.Envs.X}}\nc", X="1") == [("a 1b1\n", 1), ("c", 2)]


def test_trim_marks_take_the_white_space_around_and_lines_keep_their_numbers() -> None:
    text = "a\n\n {{- .Envs.X -}} \n\nb\nc\n"
    assert rendered(text, X="1") == [("a1b\n", 1), ("c\n", 6)]


def test_lines_of_a_value_have_the_number_of_its_action() -> None:
    text = "a\n{{ .Envs.X }}\nb\n"
    assert rendered(text, X="1\n2\n") == [("a\n", 1), ("1\n", 2), ("2\n", 2), ("\n", 2), ("b\n", 3)]


def test_action_over_several_lines() -> None:
    assert rendered("{{\n.Envs.X\n}}\nb", X="1") == [("1\n", 1), ("b", 4)]


def test_value_is_not_rendered_again() -> None:
    assert rendered("{{ .Envs.X }}", X="{{ .Envs.X }}") == [("{{ .Envs.X }}", 1)]


@pytest.mark.parametrize(
    "text", ["{{ if .Envs.X }}", "{{", "{{ .Envs }}", "{{ .Envs.1 }}", "{{-}}"]
)
def test_any_other_construct_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rendered(f"\n; {text}\n")
    assert caught.value.line == 2


@given(st.text(st.sampled_from("a\n\r {}-")))
def test_text_without_actions_is_kept_and_numbered(text: str) -> None:
    text = text.replace("{{", "{")
    while "{{" in text:
        text = text.replace("{{", "{")
    lines = rendered(text)
    assert "".join(line for line, _ in lines) == text
    assert [number for _, number in lines] == list(range(1, len(lines) + 1))
