"""Sections [user.NAME]: what they say, and that nothing belongs to two users."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.config.load import Loaded
from frpd.config.load_server import load_server
from frpd.config.secret import Secret
from frpd.config.server import ServerConfig
from frpd.config.users import MAX_PATTERNS, MAX_USERS, Owners, UserConfig, _doubles
from frpd.errors import ConfigError


def load(folder: Path, text: str, **settings: str) -> Loaded[ServerConfig]:
    path = folder / "frps.ini"
    path.write_text(f"[common]\n{text}")
    return load_server(str(path), environ={}, dialect=settings.get("dialect"))


def test_a_section_is_read_with_what_follows_from_its_name(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret-b\n")
    loaded = load(
        tmp_path,
        "token = t\nusers_only = true\n[user.a]\ntoken = secret-a\nallow_ports = 6000-6009\n"
        "allow_domains = A.Example.com., *.a.example.com\nmax_clients = 2\n"
        f"[user.b]\ntoken_file = {tmp_path}/token\nallow_names = b.*, web\n",
    )
    first, second = loaded.value.users
    assert loaded.warnings == ()
    assert loaded.value.users_only
    assert first.allow_domains == ("a.example.com", "*.a.example.com")
    assert (first.token, first.allow_names, first.max_clients) == (Secret("secret-a"), ("a.*",), 2)
    assert (second.token, second.allow_names) == (Secret("secret-b"), ("b.*", "web"))
    assert "secret" not in repr(loaded.value)


@pytest.mark.parametrize("dialect", ["old", "new"])
def test_a_user_whose_name_has_a_dot_inherits_nothing(tmp_path: Path, dialect: str) -> None:
    text = "[user]\ntoken = x\n[user.a]\ntoken = secret\nmax_clients = 1\n[user.a.b]\n"
    loaded = load(tmp_path, text, dialect=dialect)
    assert [(user.name, bool(user.token), user.max_clients) for user in loaded.value.users] == [
        ("a", True, 1),
        ("a.b", False, 0),
    ]
    assert len([text for text in loaded.warnings if "unknown section" in text]) == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[user.]\n", "'' is no name"),
        ("[user.a*]\n", "'a\\*' is no name"),
        ("[user.a]\nallow_domains = a*.com\n", "'a\\*.com' is no domain"),
        ("[user.a]\nallow_domains = bücher.example\n", "is no domain"),
        ("[user.a]\nallow_cidrs = here\n", "here"),
        ("allow_ports = 1-5\n[user.a]\nallow_ports = 6\n", "no port that allow_ports of"),
        ("[user.a]\ntoken = x\ntoken_file = y\n", "token is set as well"),
        (f"[user.a]\nallow_names = {','.join(map(str, range(MAX_PATTERNS + 1)))}\n", "at most"),
        ("[user.a]\nallow_domains = x.com\n[user.b]\nallow_domains = X.com\n", "user.a. already"),
        ("[user.a]\nallow_names = web\n[user.b]\nallow_names = web\n", "fit the same names"),
        ("[user.a]\nallow_names = a*c\n[user.b]\nallow_names = ab*\n", "fit the same names"),
        ("authentication_method = oidc\noidc_issuer = https://x\n[user.a]\n", "oidc knows no"),
        ("".join(f"[user.{n}]\n" for n in range(MAX_USERS + 1)), f"{MAX_USERS} users"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load(tmp_path, text)


def test_tokens_that_several_know_are_pointed_out(tmp_path: Path) -> None:
    text = "token = t\n[user.a]\ntoken = t\n[user.b]\ntoken = s\n[user.c]\ntoken = s\n"
    warnings = load(tmp_path, text).warnings
    assert ["everybody has it" in text for text in warnings] == [True, False]
    assert "each can be the other" in warnings[1]


def test_a_user_that_anybody_can_be_is_pointed_out(tmp_path: Path) -> None:
    (warning,) = load(tmp_path, "[user.a]\n").warnings
    assert warning.endswith("[user.a] token: none here nor in [common]: anybody can be this user")


def owners(**allowed: tuple[str, ...]) -> Owners:
    return Owners(
        UserConfig(name=name, allow_domains=patterns, allow_names=patterns)
        for name, patterns in allowed.items()
    )


@pytest.mark.parametrize(
    ("domain", "owner"),
    [
        ("x.com", "b"),
        ("a.x.com", "a"),
        ("b.a.x.com", "b"),
        ("d.c.x.com", "c"),
        ("c.x.com", "c"),
        ("yx.com", None),
        ("com", None),
        ("*.x.com", "b"),
        ("*.a.x.com", "b"),
        ("*.c.x.com", "c"),
        ("*.com", None),
        ("*", None),
    ],
)
def test_the_pattern_that_says_most_has_a_domain(domain: str, owner: str | None) -> None:
    book = owners(a=("a.x.com",), b=("*.x.com",), c=("*.c.x.com",))
    assert book.of_domain(domain) == owner
    assert owners(a=("*",)).of_domain(domain) == "a"


def test_a_wildcard_is_held_against_what_others_have_below() -> None:
    book = owners(a=("a.x.com", "x.com"), b=("*.x.com", "*"))
    assert set(book.below("*.x.com")) == {("a.x.com", "a")}
    assert set(book.below("*")) == {("a.x.com", "a"), ("x.com", "a"), ("*.x.com", "b")}
    assert list(book.below("x.com")) == []


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("a.web", "a"),
        ("a.b.web", "b"),
        ("a.b.", "b"),
        ("a.x-web", "c"),
        ("one", "a"),
        ("on", None),
        ("A.web", None),
        ("", None),
    ],
)
def test_the_pattern_that_says_most_has_a_name(name: str, owner: str | None) -> None:
    book = owners(a=("a.*", "one"), b=("a.b.*",), c=("*-web",))
    assert book.of_name(name) == owner


NAMES = st.text("ab.", max_size=4)
PATTERNS = st.text("ab.*", max_size=4)
DOMAINS = st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map(".".join)
WILDCARDS = st.one_of(DOMAINS, DOMAINS.map("*.".__add__), st.just("*"))


def test_a_long_name_is_held_against_many_stars_at_once() -> None:
    # By a regular expression this takes longer than anybody lives.
    known = owners(ann=("a*" * 100 + "b",), bob=("*ab*ab", "x*x"))
    assert known.of_name("a" * 5000) is None
    assert known.of_name("a" * 5000 + "b") == "ann"
    assert [known.of_name(name) for name in ("ab-ab", "abb", "aab", "xx", "x")] == [
        "bob", None, None, "bob", None,
    ]  # fmt: skip


@given(st.lists(st.lists(PATTERNS, max_size=3), max_size=4), NAMES)
def test_no_name_is_two_users_whatever_their_patterns(patterns: list[list[str]], name: str) -> None:
    users = [UserConfig(name=str(n), allow_names=tuple(own)) for n, own in enumerate(patterns)]
    if any(_doubles(users)):
        return  # refused
    forth, back = Owners(users), Owners(users[::-1])
    owner = forth.of_name(name)
    assert owner == back.of_name(name)
    fitting = {
        user.name for user in users if any(fits(name, pattern) for pattern in user.allow_names)
    }
    assert (owner in fitting) if fitting else owner is None


def fits(name: str, pattern: str) -> bool:
    if not pattern.startswith("*"):
        return name == pattern if not pattern or not name else (
            name[0] == pattern[0] and fits(name[1:], pattern[1:])
        )  # fmt: skip
    return any(fits(name[cut:], pattern[1:]) for cut in range(len(name) + 1))


@given(st.lists(st.lists(WILDCARDS, max_size=3), max_size=4), WILDCARDS)
def test_no_domain_is_two_users_whatever_their_patterns(
    patterns: list[list[str]], domain: str
) -> None:
    users = []
    taken: set[str] = set()
    for number, own in enumerate(patterns):
        users.append(UserConfig(name=str(number), allow_domains=tuple({*own} - taken)))
        taken |= {*own}
    forth, back = Owners(users), Owners(users[::-1])
    owner = forth.of_domain(domain)
    assert owner == back.of_domain(domain)
    for user in users:
        if domain in user.allow_domains:
            assert owner == user.name
    for pattern, other in forth.below(domain):
        sample = pattern.replace("*", "a")
        assert Owners([UserConfig(name="x", allow_domains=(domain,))]).of_domain(sample) == "x"
        assert forth.of_domain(pattern) == other
