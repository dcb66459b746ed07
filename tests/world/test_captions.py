import subprocess
import sys

import numpy as np
import pytest

from maskvid.errors import UserError
from maskvid.world import captions
from maskvid.world.captions import COATS, GAITS, GROUNDS, SPECIES, STYLES, TIMES


def _many(count: int = 400) -> list[tuple[dict[str, str], str, str]]:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        species = str(rng.choice(SPECIES))
        attributes = {
            "species": species,
            "coat": str(rng.choice(COATS(species))),
            "ground": str(rng.choice(GROUNDS)),
            "time": str(rng.choice(TIMES)),
            "style": str(rng.choice(STYLES)),
            "gait": str(rng.choice(GAITS)),
        }
        found.append((attributes, *captions.caption(attributes, rng)))
    return found


def test_the_world_has_what_was_promised() -> None:
    assert len(SPECIES) >= 6
    assert len(STYLES) >= 4
    assert all(len(COATS(species)) >= 1 for species in SPECIES)
    assert len(COATS("horse")) >= 5


def test_every_caption_holds_its_subject_and_subject_names_the_animal() -> None:
    for attributes, text, subject in _many():
        assert subject in text
        assert attributes["species"] in subject
        if attributes["coat"] not in ("striped", "patchy"):
            assert attributes["coat"] in subject
        if attributes["style"] != "photo":
            assert attributes["style"] in text


def test_captions_vary_and_repeat_for_the_same_generator_state() -> None:
    attributes = {
        "species": "horse",
        "coat": "brown",
        "ground": "meadow",
        "time": "sunset",
        "style": "photo",
        "gait": "gallop",
    }
    texts = [captions.prompt(attributes, k)[0] for k in range(40)]
    assert len(set(texts)) > 20
    assert texts == [captions.prompt(attributes, k)[0] for k in range(40)]


def test_vocabulary_is_closed_and_small() -> None:
    words = set(captions.vocabulary())
    assert len(words) < 150
    for _, text, _ in _many():
        assert {word.strip(",") for word in text.split()} <= words
    for kind, values in (
        ("species", SPECIES),
        ("ground", GROUNDS),
        ("time", TIMES),
        ("style", STYLES),
        ("gait", GAITS),
    ):
        for value in values:
            sentences = captions.zero_shot(kind, value)
            assert sentences
            for text in sentences:
                assert set(text.split()) <= words
    assert not words & {"left", "right"}  # pictures may be mirrored


def test_zero_shot_sentences_speak_of_their_value() -> None:
    assert all("golden dog" in text for text in captions.zero_shot("coat", "golden", species="dog"))
    assert all("zebra" in text for text in captions.zero_shot("species", "zebra"))
    night, day = captions.zero_shot("time", "night"), captions.zero_shot("time", "day")
    assert not set(night) & set(day)
    with pytest.raises(KeyError):
        captions.zero_shot("ground", "moon")


def test_unknown_attributes_are_named() -> None:
    good = {
        "species": "dog",
        "coat": "golden",
        "ground": "road",
        "time": "day",
        "style": "photo",
        "gait": "walk",
    }
    captions.check_attributes(good)
    with pytest.raises(UserError, match="coat='grey'"):
        captions.check_attributes({**good, "coat": "grey"})
    with pytest.raises(UserError, match="ground=None"):
        captions.check_attributes({key: value for key, value in good.items() if key != "ground"})


def test_words_and_pictures_on_disk_need_no_renderer() -> None:
    code = (
        "import sys; sys.modules['mujoco'] = None\n"  # as if it were not installed
        "import maskvid.world.captions, maskvid.world.stills, maskvid.world.corpus, maskvid.world.movements\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
