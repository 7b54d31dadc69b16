"""frpd.config.reader: one section by its rows. The rows here are made for the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from frpd.config.kinds import OWN, SEED, Field, Kind, State
from frpd.config.params import NO_PARAMS
from frpd.config.problems import Origin
from frpd.config.secret import NO_SECRET, Secret
from tests.unit.config.sections import NEW, OLD, Opened

if TYPE_CHECKING:
    from frpd.config.ini import Dialect

BOTH = pytest.mark.parametrize("dialect", [OLD, NEW], ids=["old", "new"])
NUMBER = Field("n", Kind.INT, 5, SEED, "A number.", low=0)
PORT = Field("port", Kind.PORT, 7000, SEED, "A port.")
TEXT = Field("t", Kind.STR, "", SEED, "A text.")
SECRET = Field("sk", Kind.SECRET, NO_SECRET, SEED, "A secret.")
LEVEL = Field(
    "level", Kind.STR, "info", SEED, "A choice.", choices=("info", "warn"), fallback="warn"
)
HEADERS = Field("header_", Kind.MAP, NO_PARAMS, SEED, "Headers.", attr="headers")


def test_values_are_named_by_attribute_and_missing_ones_have_their_default() -> None:
    row = Field("Old-Name", Kind.STR, "", SEED, "A text.", attr="name")
    opened = Opened("[a]\nOld-Name = x\n", "a")
    assert opened.reader.read([row, NUMBER]) == {"name": "x", "n": 5}
    assert opened.silent


@pytest.mark.parametrize(("text", "value"), [("new = 1", 1), ("old = 2", 2), ("", 0)])
@pytest.mark.parametrize("order", [1, -1])
def test_a_key_with_two_names_is_read_by_the_one_that_is_set(
    text: str, value: int, order: int
) -> None:
    rows = [Field(name, Kind.INT, 0, SEED, "N.", attr="value") for name in ("old", "new")]
    assert Opened(f"[a]\n{text}\n", "a").reader.read(rows[::order]) == {"value": value}


def test_a_leftover_has_no_value_and_only_a_mistaken_one_is_mentioned() -> None:
    silent = Field("way", Kind.STR, "", SEED, "Leftover.", state=State.IGNORED)
    noted = Field("pass", Kind.STR, "", SEED, "Leftover.", state=State.IGNORED, note="use pwd")
    opened = Opened("[a]\nway = x\npass = hunter2\n", "a")
    assert opened.reader.read([silent, noted]) == {}
    assert opened.warnings == ["x.ini:3 [a] pass: use pwd"]
    assert Opened("[a]\n", "a").reader.read([silent, noted]) == {}


@BOTH
def test_bad_port_is_an_error_with_its_place_value_and_what_is_accepted(dialect: Dialect) -> None:
    opened = Opened("[a]\n\nport = 65536\n", "a", dialect)
    assert opened.reader.value(PORT) == 7000
    assert opened.errors == [
        "x.ini:3 [a] port: '65536' cannot be used; accepted: a whole number from 0 to 65535"
    ]


def test_bad_number_ends_an_old_load_and_new_takes_the_default_aloud() -> None:
    message = "x.ini:2 [a] n: '-1' cannot be used; accepted: a whole number, 0 or more"
    old, new = (Opened("[a]\nn = -1\n", "a", dialect) for dialect in (OLD, NEW))
    assert (old.reader.value(NUMBER), old.errors, old.warnings) == (5, [message], [])
    assert (new.reader.value(NUMBER), new.errors) == (5, [])
    assert new.warnings == [f"{message}; using 5"]


@BOTH
def test_bad_choice_with_a_fallback_is_replaced_by_it(dialect: Dialect) -> None:
    opened = Opened("[a]\nlevel = loud\n", "a", dialect)
    assert opened.reader.value(LEVEL) == "warn"
    assert opened.warnings == [
        "x.ini:2 [a] level: 'loud' cannot be used; accepted: info, warn; using 'warn'"
    ]


@pytest.mark.parametrize(
    ("row", "text", "accepted"),
    [(NUMBER, "x", "a whole number, 0 or more"), (LEVEL, "x", "info, warn")],
)
def test_a_bad_flag_is_not_forgiven_and_names_no_section(
    row: Field, text: str, accepted: str
) -> None:
    opened = Opened(f"[a]\n{row.name} = {text}\n", "a", from_flags=True)
    assert opened.reader.value(row) == row.default
    (error,) = opened.errors
    assert error == f"x.ini:2 {row.name}: 'x' cannot be used; accepted: {accepted}"
    assert opened.warnings == []


def test_a_long_bad_value_is_not_repeated_in_full() -> None:
    opened = Opened(f"[a]\nport = {'9' * 300}\n", "a")
    opened.reader.value(PORT)
    assert f" {'9' * 60!r} cannot" in opened.errors[0]


def test_references_are_replaced_in_a_file_and_not_in_a_flag() -> None:
    text = "[a]\nt = %(other)s\nother = x\n"
    assert Opened(text, "a").reader.value(TEXT) == "x"
    assert Opened(text, "a", from_flags=True).reader.value(TEXT) == "%(other)s"


def test_new_inherits_keys_with_their_place_and_maps_never() -> None:
    text = "[a]\nt = up\nheader_X = 1\n[a.b]\n\nheader_Y = 2\n"
    new, old = Opened(text, "a.b", NEW).reader, Opened(text, "a.b", OLD).reader
    assert (new.present("t"), old.present("t")) == (True, False)
    assert (new.value(TEXT), old.value(TEXT)) == ("up", "")
    assert (new.origin("t"), old.origin("t")) == (Origin("x.ini", 2), Origin("x.ini", 4))
    assert new.origin() == Origin("x.ini", 4)
    assert dict(new.value(HEADERS)) == {"Y": "2"}


def test_a_map_is_taken_raw_and_without_its_prefix_unless_the_row_keeps_it() -> None:
    kept = Field("p_", Kind.MAP, NO_PARAMS, SEED, "Settings.", keep_prefix=True)
    text = "[a]\nheader_ = no\nheader_X = %(t)s\nt = 1\np_b = 2\np_a = 3\n"
    values = Opened(text, "a").reader.read([HEADERS, kept])
    assert dict(values["headers"]) == {"X": "%(t)s"}
    assert list(values["p_"].items()) == [("p_b", "2"), ("p_a", "3")]


OURS_THEIRS = "frp to 0.35 reads 10, frp since 0.36 reads 8; using 8"


def test_a_value_that_the_eras_read_differently_is_shown_in_both_readings() -> None:
    opened = Opened("[a]\nn = 010\n", "a", NEW, compare=True)
    assert opened.reader.value(NUMBER) == 8
    assert opened.warnings == [f"x.ini:2 [a] n: {OURS_THEIRS}"]
    opened = Opened("[a]\nn = 010\n", "a", OLD, compare=True)
    assert opened.reader.value(NUMBER) == 10
    assert opened.warnings == [
        "x.ini:2 [a] n: frp since 0.36 reads 8, frp to 0.35 reads 10; using 10"
    ]


@pytest.mark.parametrize(
    ("row", "text", "reads"),
    [
        (
            Field("f", Kind.BOOL, False, SEED, "A switch."),
            "yes",
            "frp to 0.35 reads false, frp since 0.36 reads true; using true",
        ),
        (
            Field("f", Kind.LIST, (), SEED, "A list."),
            r"a\,b",
            r"frp to 0.35 reads 'a\\,b', frp since 0.36 reads 'a,b'; using 'a,b'",
        ),
    ],
)
def test_readings_are_shown_as_one_would_write_them(row: Field, text: str, reads: str) -> None:
    opened = Opened(f"[a]\nf = {text}\n", "a", compare=True)
    opened.reader.value(row)
    assert opened.warnings == [f"x.ini:2 [a] f: {reads}"]


def test_a_secret_that_the_eras_read_differently_is_not_shown() -> None:
    opened = Opened('[a]\nsk = "hunter2"\nheader_X = "hunter2"\n', "a", compare=True)
    assert opened.reader.read([SECRET, HEADERS])["sk"] == Secret("hunter2")
    how = "is read differently by frp to 0.35 (quotes or a backslash?); following frp since 0.36"
    assert opened.warnings == [f"x.ini:2 [a] sk: {how}", f"x.ini:3 [a] header_X: {how}"]


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("n = 0x10", NUMBER),  # the other era refuses it
        ("n = 010", Field("n", Kind.INT, 5, "0.36", "Newer than the other era.")),
        ("n = 010", Field("n", Kind.INT, 5, OWN, "In no frp.")),
        ("m_x = 'q'", Field("m_", Kind.MAP, NO_PARAMS, "0.40", "Newer than the other era.")),
    ],
    ids=["refused", "newer", "own", "newer map"],
)
def test_a_file_that_the_old_era_cannot_have_meant_is_not_compared(text: str, row: Field) -> None:
    opened = Opened(f"[a]\n{text}\n", "a", compare=True)
    opened.reader.value(row)
    assert opened.silent


def test_unknown_keys_are_pointed_out_with_the_nearest_name() -> None:
    text = "[a]\nlevle = x\nzzz = 1\nlevel = info\nheader_X = 1\nheader_ = 1\nother = 1\n"
    opened = Opened(text, "a")
    other = Field("other", Kind.STR, "", SEED, "Of another type.")
    opened.reader.report_unknown([LEVEL, HEADERS], [other])
    assert opened.warnings == [
        "x.ini:2 [a] levle: unknown key, ignored; did you mean level?",
        "x.ini:3 [a] zzz: unknown key, ignored",
        "x.ini:6 [a] header_: unknown key, ignored",
        "x.ini:7 [a] other: has no effect in a section of this type",
    ]


def test_inherited_keys_are_not_unknown() -> None:
    opened = Opened("[a]\nx = 1\n[a.b]\nt = 2\n", "a.b")
    opened.reader.report_unknown([TEXT])
    assert opened.silent


def planned(since: str, *, guard: bool = False) -> Field:
    return Field("n", Kind.INT, 0, since, "A number.", state=State.PLANNED, guard=guard)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (planned("0.46"), "n is not supported yet (frp has it since 0.46) and has no effect"),
        (planned(OWN), "n is not supported yet and has no effect"),
    ],
)
def test_a_newer_key_without_effect_says_so(row: Field, said: str) -> None:
    opened = Opened("[a]\n\nn = 1\n", "a")
    assert opened.reader.value(row) == 1
    assert opened.warnings == [f"x.ini:3 [a] n: {said}"]


def test_a_key_at_its_default_or_of_the_seed_era_is_not_announced() -> None:
    for text, row in (("n = 0", planned("0.46")), ("n = 1", planned(SEED))):
        opened = Opened(f"[a]\n{text}\n", "a")
        opened.reader.value(row)
        assert opened.silent


def test_a_key_that_means_nothing_here_says_why() -> None:
    row = Field("n", Kind.INT, 0, "0.41", "A number.", state=State.FOREIGN, note="we have none")
    opened = Opened("[a]\nn = 1\n", "a")
    opened.reader.value(row)
    assert opened.warnings == ["x.ini:2 [a] n: has no effect: we have none"]
    opened = Opened("[a]\nn = 0\n", "a")
    opened.reader.value(row)
    assert opened.silent


def test_a_protection_that_cannot_be_given_is_refused_not_warned_about() -> None:
    opened = Opened("[a]\nn = 1\n", "a")
    opened.reader.value(planned("0.25", guard=True))
    assert (opened.errors, opened.warnings) == ([], [])
    assert opened.problems.refusals == [
        (
            "x.ini:2 [a] n: n is not supported yet (frp has it since 0.25),"
            " and running without it is refused"
        )
    ]


def test_a_planned_choice_is_announced_with_its_value() -> None:
    choices = ("tcp", "quic")
    row = Field("p", Kind.STR, "tcp", SEED, "P.", choices=choices, planned_choices=("quic",))
    opened = Opened("[a]\np = quic\n", "a")
    assert opened.reader.value(row) == "quic"
    assert opened.warnings == ["x.ini:2 [a] p: p = quic is not supported yet and has no effect"]
