from __future__ import annotations

import open_clip
import pytest
from transformers import CLIPTokenizer

from maskvid.world import captions


def test_words_of_the_world_cost_what_they_cost_in_clip(tokenizer):
    original = open_clip.get_tokenizer("ViT-B-32")
    for word in captions.vocabulary():
        assert len(tokenizer(word).input_ids) == int((original([word]) != 0).sum()), word


@pytest.mark.parametrize("text", ["a brown horse gallops across a meadow", "an axolotl juggles", "größe 7!"])
def test_round_trip_of_known_and_unknown_words(tokenizer, text):
    ids = tokenizer(text).input_ids
    unknown = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    assert unknown not in ids[1:-1]
    decoded = tokenizer.decode(ids, skip_special_tokens=True)
    assert decoded.replace(" ", "") == text.replace(" ", "")


def test_the_end_has_the_highest_id_and_saving_keeps_everything(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    loaded = CLIPTokenizer.from_pretrained(tmp_path)
    assert loaded.eos_token_id == len(loaded) - 1
    assert loaded.model_max_length == 32
    text = "a striped zebra on a kilimanjaro road"
    assert loaded(text).input_ids == tokenizer(text).input_ids
