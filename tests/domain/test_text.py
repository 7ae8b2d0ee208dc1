"""Texts of people, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.domain import text
from tests.texts import DIRECTIONS, REAL, REFUSED, UNSEEN


@pytest.mark.parametrize("said", REAL)
def test_texts_of_the_world_are_texts(said: str) -> None:
    assert text.is_line(said)
    assert text.is_prose(f"{said}\r\n\t{said}\n")
    assert text.is_seen(said)
    assert text.trimmed(f" \t\r\n{said} ") == said
    assert text.for_terminal(said) == said
    assert text.cut(said, len(said)) == said


@pytest.mark.parametrize("sign", REFUSED)
def test_what_is_no_text_is_refused(sign: str) -> None:
    for said in (sign, f"a{sign}b", f"a\n{sign}"):
        assert not text.is_line(said)
        assert text.is_prose(said) == (sign in "\n\t")


@pytest.mark.parametrize("sign", [*UNSEEN, " ", "\t", "\n", "\u2003", "\u3000", "\u00a0", *DIRECTIONS])
def test_a_text_of_which_nothing_is_seen_is_told(sign: str) -> None:
    assert not text.is_seen(sign)
    assert not text.is_seen(f" {sign}\u200d{sign}")
    assert text.is_seen(f"{sign}.")
    assert text.is_plain(f"a{sign}b") == sign.isspace() * (sign not in "\t\n")


def test_a_text_is_cut_between_signs() -> None:
    for said, characters, kept in (
        ("abc", 3, "abc"),
        ("abc", 2, "ab"),
        ("a👩\u200d🚒", 3, "a"),
        ("a👩\u200d🚒", 2, "a"),
        ("e\u0301e\u0301", 3, "e\u0301"),
        ("ශ්\u200dරී", 2, "ශ්"),  # one sign, and no room for it
        ("a" + "\u0301" * 50, 20, "a" + "\u0301" * 19),
        ("a" + "\u0301" * 50, 50, "a" + "\u0301" * 49),
        ("✌🏽✌🏽", 3, "✌🏽"),
    ):
        assert text.cut(said, characters) == kept


@given(st.text(max_size=50))
def test_what_others_wrote_becomes_a_text(said: str) -> None:
    line, lines = text.one_line(said), text.some_lines(said)
    assert text.is_line(line)
    assert text.is_prose(lines)
    assert all(map(text.is_seen, lines.split("\n"))) or not lines
    assert text.one_line(line) == line
    assert text.some_lines(lines) == lines
    assert text.is_line(text.for_terminal(said)) or any(text.is_line(c) is False and c > "\u206f" for c in said)


def test_what_others_wrote_is_kept_as_far_as_it_is_text() -> None:
    assert text.one_line(" a\u00a0\u200db \t\n c\u202e\u3000!\x1b") == "a\u00a0\u200db c\u3000!"
    assert text.some_lines("a\u2028b\r\n\u200b\nไทย\u200bไทย\n\n \u3000") == "a\nb\nไทย\u200bไทย"


def test_nothing_moves_the_cursor_of_a_terminal() -> None:
    assert text.for_terminal("\x1b[2J\x9b2J\r\n\x07\u202e\ud800") == (
        "\\u001b[2J\\u009b2J\\u000d\\u000a\\u0007\\u202e\\ud800"
    )
    assert text.for_terminal("a\n\tb\x7f", keep="\n\t") == "a\n\tb\\u007f"
