from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.functional.image import peak_signal_noise_ratio

from maskvid.miniature.card import Figure, animals, attribute_accuracy, iou, psnr, random_prompts, sheet, write_card
from maskvid.world import captions


def test_psnr_agrees_with_torchmetrics():
    draw = torch.Generator().manual_seed(0)
    target = torch.rand(3, 3, 16, 24, generator=draw) * 2 - 1
    output = (target + 0.1 * torch.randn(target.shape, generator=draw)).clamp(-1, 1)
    for value, a, b in zip(psnr(output, target), output, target, strict=True):
        assert float(value) == pytest.approx(float(peak_signal_noise_ratio(a, b, data_range=2.0)), abs=1e-4)


def test_iou_of_half_overlapping_and_empty_masks():
    first, second = torch.zeros(2, 1, 4, 6), torch.zeros(2, 1, 4, 6)
    first[0, :, :, :4], second[0, :, :, 2:] = 1, 0.9
    assert iou(first, second).tolist() == pytest.approx([1 / 3, 1.0])


def test_animals_counts_regions_and_forgives_specks():
    mask = np.zeros((20, 40))
    assert animals(mask) == 0
    mask[2:10, 2:10] = 1
    mask[15, 30] = 1
    assert animals(mask) == 1
    mask[2:10, 20:30] = 1
    assert animals(mask) == 2
    mask[9, 9:21] = 1
    assert animals(mask) == 1


class Oracle:
    """Embeds a sentence as the words it holds, so that zero-shot classes are told apart exactly."""

    def __init__(self) -> None:
        self.words = {word: i for i, word in enumerate(captions.vocabulary())}

    def texts(self, texts: list[str]) -> torch.Tensor:
        rows = torch.zeros(len(texts), len(self.words))
        for row, text in zip(rows, texts, strict=True):
            for word in text.replace(",", "").split():
                row[self.words[word]] = 1
        return torch.nn.functional.normalize(rows, dim=-1)


def test_accuracy_is_one_for_an_oracle_and_falls_by_the_share_of_wrong_pictures():
    texts, wanted = random_prompts(60, seed=5)
    oracle = Oracle()
    attributes = [dict(a) for a in wanted]
    # What the oracle "sees": species, coat and ground words alone, in the zero-shot sentences' own phrases.
    seen = [
        captions.zero_shot("ground", a["ground"])[0].replace("horse", f"{a['coat']} {a['species']}") for a in attributes
    ]
    found = attribute_accuracy(oracle.texts(seen), attributes, oracle)
    assert found["species"] == (1.0, 60)
    assert found["coat"][0] == 1.0
    assert found["coat"][1] == sum(len(captions.COATS(a["species"])) > 1 for a in attributes) < 60
    others = {"horse": "dog"}
    wrong = [{**a, "species": others.get(a["species"], "horse")} for a in attributes[:15]] + attributes[15:]
    assert attribute_accuracy(oracle.texts(seen), wrong, oracle)["species"][0] == pytest.approx(0.75)


def test_prompts_name_what_they_are_scored_by_and_depend_on_the_seed_alone():
    texts, wanted = random_prompts(50, seed=9)
    assert (texts, wanted) == random_prompts(50, seed=9)
    assert texts != random_prompts(50, seed=10)[0]
    for text, attributes in zip(texts, wanted, strict=True):
        assert attributes["species"] in text
        assert attributes["coat"] in text
    assert len({a["species"] for a in wanted}) == len(captions.SPECIES)


def test_the_sheet_puts_pictures_in_reading_order():
    frames = torch.stack([torch.full((3, 2, 3), value) for value in (-1.0, 1.0, 1.0, -1.0)])
    picture = np.asarray(sheet(frames, columns=2))
    assert picture.shape == (4, 6, 3)
    assert picture[0, 0, 0] == 0
    assert picture[0, 3, 0] == 255
    assert picture[2, 0, 0] == 255
    assert picture[3, 5, 0] == 0


def test_the_card_says_what_fell_short(tmp_path):
    figures = [Figure("good", 0.9, 0.95, 10, "renders"), Figure("bad", 0.9, 0.5, 12, "samples")]
    write_card(tmp_path, figures, {"versions": "1"})
    rows = [line for line in (tmp_path / "MODEL_CARD.md").read_text().splitlines() if "0.9 |" in line]
    assert rows[0] == "| good | 0.9 | 0.950 | yes | 10 renders |"
    assert rows[1] == "| bad | 0.9 | 0.500 | **no** | 12 samples |"
