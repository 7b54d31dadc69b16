"""frpd.cli.flags: spellings that are the same, errors in frp's words, values of flags."""

from __future__ import annotations

import pytest

from frpd.cli import frps, quick
from frpd.cli.flags import (
    SWITCHES,
    FrpParser,
    add_value_flags,
    exposed,
    given,
    new_parser,
    normalise,
    surplus,
)
from frpd.config.fields import CLIENT, PROXY, SERVER
from frpd.config.flags import ALIASES
from frpd.config.kinds import Kind

FLAGS = (("bind_port", "p"), ("token", "t"), ("tls_only", ""), ("ue", ""), ("log_file", ""))


def make_parser() -> FrpParser:
    parser = new_parser("prog", "does something", None)
    add_value_flags(parser, FLAGS, (*SERVER, *PROXY))
    return parser


def values_of(*arguments: str) -> dict[str, str]:
    return given(make_parser().parse_args(normalise(arguments)), FLAGS)


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ending:
        make_parser().parse_args(normalise(arguments))
    assert ending.value.code == 1
    out, err = capsys.readouterr()
    assert not out
    return err


def test_dashes_inside_long_names_are_underscores() -> None:
    assert normalise(["--log-file", "a-b", "--a-b=c-d"]) == ["--log_file", "a-b", "--a_b=c-d"]


def test_short_flags_words_and_single_dashes_stay_as_they_are() -> None:
    typed = ["-c", "my-file", "-", "some-word", "-p=1"]
    assert normalise(typed) == typed


def test_what_stands_behind_two_dashes_stays_as_it_is() -> None:
    assert normalise(["--a-b", "--", "--a-b"]) == ["--a_b", "--", "--a-b"]


@pytest.mark.parametrize(
    "typed",
    [
        ("-p", "7001", "--log_file", "x"),
        ("-p7001", "--log-file=x"),
        ("--bind-port", "7001", "--log-file", "x"),
    ],
)
def test_all_spellings_give_the_same_values(typed: tuple[str, ...]) -> None:
    assert values_of(*typed) == {"bind_port": "7001", "log_file": "x"}


def test_only_flags_that_were_typed_are_given() -> None:
    assert values_of() == {}
    assert values_of("--log_file=") == {"log_file": ""}


@pytest.mark.parametrize("typed", [("--tls_only",), ("--tls-only=true",), ("--tls_only", "true")])
def test_a_truth_value_may_be_left_out(typed: tuple[str, ...]) -> None:
    assert values_of(*typed) == {"tls_only": "true"}


def test_a_truth_value_may_be_left_out_under_a_short_name_of_its_key() -> None:
    assert values_of("--ue", "-p", "1") == {"ue": "true", "bind_port": "1"}


def test_a_truth_value_takes_no_word_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    parsed = make_parser().parse(["--tls-only", "verify", "--ue", "false", "--strict-config"])
    assert given(parsed, FLAGS) == {"tls_only": "true", "ue": "false"}
    assert parsed.words == ["verify"]
    assert not capsys.readouterr().err


def test_every_switch_of_both_programs_is_known() -> None:
    rows = {row.name: row for row in (*SERVER, *CLIENT, *PROXY)}
    typed = {
        *frps.FLAGS,
        *quick.COMMON_FLAGS,
        *(f for fs in quick.PROXY_FLAGS.values() for f in fs),
    }
    keys = {name: rows.get(ALIASES.get(name, name)) for name, _ in typed}
    switches = {name for name, row in keys.items() if row is not None and row.kind is Kind.BOOL}
    assert {*switches, "strict_config"} == SWITCHES


def test_words_that_mean_nothing_may_stand_anywhere() -> None:
    parsed = make_parser().parse(["one", "-p", "1", "two", "--", "three", "-"])
    assert given(parsed, FLAGS) == {"bind_port": "1"}
    assert [word for word in parsed.words if word != "--"] == ["one", "two", "three", "-"]
    assert list(surplus(["it's"])) == ['"it\'s" on the command line means nothing and is ignored']


def test_an_unknown_flag_behind_a_word_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        make_parser().parse(["word", "--nope", "1"])
    assert capsys.readouterr().err.startswith("Error: unknown flag: --nope\n")


@pytest.mark.parametrize("typed", [["help"], ["help", "-p", "1"]])
def test_the_word_help_is_the_flag(capsys: pytest.CaptureFixture[str], typed: list[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        make_parser().parse(typed)
    assert ending.value.code == 0
    assert capsys.readouterr().out.startswith("usage: prog ")


@pytest.mark.parametrize(
    "typed",
    [
        "--strict_config",
        "--strict-config=false",
        "--allow-unsafe TokenSourceExec",
        "--allow_unsafe=a,b",
    ],
)
def test_flags_that_mean_nothing_to_ini_files_are_taken(typed: str) -> None:
    assert given(make_parser().parse(typed.split()), FLAGS) == {}


@pytest.mark.parametrize("flag", ["-t", "--token", "-p", "--log-file"])
def test_any_other_flag_needs_its_value(capsys: pytest.CaptureFixture[str], flag: str) -> None:
    assert "expected one argument" in error_of(capsys, flag)


def test_an_unknown_flag_is_named_in_one_line_with_a_hint(
    capsys: pytest.CaptureFixture[str],
) -> None:
    expected = "Error: unknown flag: --nope\nRun 'prog --help' for usage.\n"
    assert error_of(capsys, "--nope") == expected
    assert error_of(capsys, "--nope", "-p", "1", "more") == expected


def test_an_unknown_short_flag_is_named_as_frp_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert error_of(capsys, "-z").startswith("Error: unknown shorthand flag: 'z' in -z\n")


def test_an_abbreviation_is_no_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert error_of(capsys, "--bind", "1").startswith("Error: unknown flag: --bind\n")


def test_an_unknown_command_is_named_as_frp_does(capsys: pytest.CaptureFixture[str]) -> None:
    parser = FrpParser(prog="prog")
    parser.add_subparsers(metavar="COMMAND").add_parser("known")
    with pytest.raises(SystemExit) as ending:
        parser.parse_args(["it's"])
    assert ending.value.code == 1
    expected = 'Error: unknown command "it\'s" for "prog"\nRun \'prog --help\' for usage.\n'
    assert capsys.readouterr().err == expected


def test_secrets_that_were_typed_are_told_in_one_line_and_not_repeated() -> None:
    (said,) = exposed({"token": "hush", "sk": "hush", "server_addr": "x"})
    assert said.startswith("--token, --sk on the command line: every user of this machine")
    assert "hush" not in said
    assert list(exposed({"token": "", "log_level": "info"})) == []


def test_a_surplus_word_is_an_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert error_of(capsys, "word").startswith('Error: unknown command "word" for "prog"\n')


def test_help_explains_a_flag_by_the_words_of_its_key(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        make_parser().parse_args(["--help"])
    assert ending.value.code == 0
    assert "Port that frpc connects to." in capsys.readouterr().out
