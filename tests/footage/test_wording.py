import pytest

from maskvid.footage.wording import bare, marked
from maskvid.prompt import parse_prompt


@pytest.mark.parametrize(
    ("words", "caption"),
    [
        ("the horse runs", "[the horse] runs"),
        ("there is a large brown horse in a field", "there is [a large brown horse] in a field"),
        ("two horses in a field", "[two horses] in a field"),
        ("a man, horse in hand", "a man, [horse] in hand"),
        ("a man on a very tall and old and tired horse", "a man on a very tall and old and tired [horse]"),
        ("a seahorse", "[the horse], a seahorse"),
        ("", "[the horse]"),
        ("an [odd] animal", "[the horse], an odd animal"),
        ("a horse and a horse", "[a horse] and a horse"),
    ],
)
def test_the_subject_is_put_in_brackets(words, caption):
    assert marked(words, "the horse")[0] == caption
    assert parse_prompt(caption).subject is not None


def test_what_a_detector_is_asked_for():
    assert bare("The Brown Horse.") == "brown horse"
    assert bare("horse") == "horse"
    assert bare("the") == "the"
