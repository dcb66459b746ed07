import warnings

import pytest

from maskvid.data.triples import read_triples, resolve_folder
from maskvid.model.known_words import read_known_words, warn_of_unknown
from maskvid.prompt import parse_prompt
from maskvid.world.captions import vocabulary

MINI = resolve_folder("assets://mini")


def test_the_miniature_says_which_words_it_knows():
    assert read_known_words(MINI) == set(vocabulary())


def test_words_never_seen_are_named_once_for_all_prompts():
    prompts = map(parse_prompt, ["[a pink horse] gallops", "[a pink unicorn] runs in the snow"])
    with pytest.warns(UserWarning, match=r"^unknown to this backbone: pink, unicorn;") as told:
        warn_of_unknown(read_known_words(MINI), prompts)
    assert len(told) == 1


def test_its_own_captions_and_backbones_that_do_not_say_warn_of_nothing(tmp_path):
    captions = [
        triple.prompt for name in ("train", "validation/unseen") for triple in read_triples(f"assets://horse/{name}")
    ]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        warn_of_unknown(read_known_words(MINI), captions)
        warn_of_unknown(read_known_words(tmp_path), [parse_prompt("a pink unicorn")])
    assert not told
