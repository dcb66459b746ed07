"""The one reader of brackets."""

import pytest

from maskvid.errors import UserError
from maskvid.prompt import Prompt, parse_prompt


@pytest.mark.parametrize(
    ("marked", "text", "span", "words"),
    [
        ("a zebra gallops", "a zebra gallops", None, None),
        ("[a zebra] gallops", "a zebra gallops", (0, 7), "a zebra"),
        ("a horse chases [a horse]", "a horse chases a horse", (15, 22), "a horse"),
        ("  behind \n a box   slides [ a  box ]on a floor", "behind a box slides a box on a floor", (20, 25), "a box"),
        ("two [cat]s", "two cats", (4, 7), "cat"),
        ("", "", None, None),
    ],
)
def test_a_subject_is_a_place_in_the_text(marked, text, span, words):
    prompt = parse_prompt(marked)
    assert (prompt.text, prompt.subject, prompt.words) == (text, span, words)
    assert parse_prompt(prompt.marked) == prompt


@pytest.mark.parametrize(
    ("marked", "words"),
    [
        ("[] gallops", "empty brackets"),
        ("[  ] gallops", "empty brackets"),
        ("[a zebra] and [a fox]", "marks 2 subjects"),
        ("[a zebra", "unbalanced"),
        ("a zebra]", "unbalanced"),
        ("[[a zebra]]", "unbalanced"),
        ("]a zebra[", "unbalanced"),
    ],
)
def test_brackets_that_mark_no_one_subject_are_refused(marked, words):
    with pytest.raises(UserError, match=f"caption=.*{words}"):
        parse_prompt(marked, name="caption")


def test_words_told_apart_are_found_once_or_refused():
    assert parse_prompt("A  big Fox runs", "a big  fox") == Prompt("A big Fox runs", (0, 9))
    assert parse_prompt("[a fox] meets a fox", "a fox") == Prompt("a fox meets a fox", (0, 5))
    with pytest.raises(UserError, match="'cat' is not in the prompt"):
        parse_prompt("a caterpillar", "cat")
    with pytest.raises(UserError, match="stands 2 times.*mark one by brackets"):
        parse_prompt("a fox meets a fox", "a fox")
    with pytest.raises(UserError, match="another subject than 'a fox'"):
        parse_prompt("[a cat] meets a fox", "a fox")
