from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.admin.config_view import MASK
from frpd.admin.frpc.masking import SECRET_KEYS, masked, unmasked
from frpd.config.load_client import load_client_common
from frpd.errors import ConfigError

OLD = (
    "[common]\nadmin_user = ann\n  admin_pwd = one \r\n\n[files]\ntype = tcp\n"
    "plugin = static_file\nplugin_http_passwd=two\n[secret]\ntype = stcp\nsk : three\n"
)
LINES = st.sampled_from(
    (
        *("[a]", "[b]", "type = tcp", "; sk = no", ""),
        *("sk = x", "sk=", "  sk = \\", "admin_pwd: p = q", "sk = {{ .Envs.SK }}"),
        *("`sk` = `y", "z`", 'sk = """u', 'v"""', f"sk = {MASK}x"),
    )
)


def test_no_secret_is_shown_and_all_else_is() -> None:
    shown = masked(OLD)
    assert shown == (
        f"[common]\nadmin_user = ann\n  admin_pwd = {MASK} \r\n\n[files]\ntype = tcp\n"
        f"plugin = static_file\nplugin_http_passwd={MASK}\n[secret]\ntype = stcp\nsk : {MASK}\n"
    )


@pytest.mark.parametrize("key", sorted(SECRET_KEYS))
def test_each_key_of_the_table_that_is_secret_is_hidden(key: str) -> None:
    assert masked(f"[x]\n{key} = hush\n") == f"[x]\n{key} = {MASK}\n"


@pytest.mark.parametrize(
    "value",
    ["one \\\n two", "one \\\n two \\\n three", '"""one\ntwo"""', "`one\ntwo`", "'''a\nb'''"],
)
def test_a_value_of_several_lines_is_hidden_to_its_end(value: str) -> None:
    text = f"[x]\nsk = {value}\ntype = stcp\n"
    assert masked(text) == f"[x]\nsk = {MASK}\ntype = stcp\n"
    assert unmasked(text, masked(text)) == text


def test_what_is_no_secret_is_not_hidden() -> None:
    text = "[x]\nsk = {{ .Envs.SK }}\nsk =\n; sk = comment\ntype = sk\n"
    assert masked(text) == text


@given(st.lists(LINES), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_what_is_put_back_as_it_was_shown_is_the_file(
    lines: list[str], end: str, ends: bool
) -> None:
    text = end.join(lines) + (end if ends else "")
    assert unmasked(text, masked(text)) == text


def test_a_mask_keeps_the_value_and_a_value_replaces_it() -> None:
    edited = masked(OLD).replace(f"sk : {MASK}", "sk = four").replace("= ann", "= bob")
    assert unmasked(OLD, edited) == OLD.replace("sk : three", "sk = four").replace("= ann", "= bob")


def test_a_mask_belongs_to_its_section_and_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[other\].*sk.*write it out"):
        unmasked(OLD, masked(OLD).replace("[secret]", "[other]"))
    twice = "[x]\nsk = one\n[x]\nsk = two\n"
    assert unmasked(twice, masked(twice)) == twice
    path = tmp_path / "frpc.ini"
    path.write_text(unmasked(OLD, masked(OLD)))
    assert load_client_common(str(path)).admin_pwd.reveal() == "one"
