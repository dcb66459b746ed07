"""Prompts as the backbone embeds them: subjects by place, the tokenizer's length, the empty prompt."""

import warnings
from dataclasses import replace

import pytest
import torch
from omegaconf import OmegaConf

from maskvid.data import MaskVidDataModule
from maskvid.edit import edit
from maskvid.errors import UserError
from maskvid.generate import generate
from maskvid.model import Backbone
from maskvid.pipeline import MaskVidPipeline
from maskvid.prompt import Prompt, parse_prompt
from maskvid.train import train
from tests.backbones import TEXT_WIDTH, save_backbone
from tests.runs import configure, configure_generate
from tests.test_requests import configure_edit


@pytest.fixture(scope="module")
def backbone(tiny_backbone):
    return Backbone(str(tiny_backbone))


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory):
    return Backbone(str(save_backbone(tmp_path_factory.mktemp("sdxl"), "sdxl")))


def marked(backbone, prompt):
    _, marks, _ = backbone.encode_text([parse_prompt(prompt)])
    return marks[0].nonzero().flatten().tolist()


@pytest.mark.parametrize("kind", ["backbone", "sdxl"])
def test_the_subjects_tokens_are_marked_by_their_place(kind, request):
    model = request.getfixturevalue(kind)
    assert marked(model, "[a fox] runs") == [1, 2, 3, 4]  # start token, then the bytes of "a", "f", "o", "x"
    # every byte is a token of this tokenizer: the second box is not the first
    assert marked(model, "behind a box slides [a  box]") == [17, 18, 19, 20]
    assert marked(model, "A FOX, [\u00e9t\u00e9] now") == [6, 7, 8, 9, 10]  # two bytes an accent


def test_the_miniatures_words_are_marked():
    backbone = Backbone("assets://mini")
    assert marked(backbone, "behind a box slides [a box]") == [13, 14, 15, 16]
    assert marked(backbone, "a horse chases [a horse]") != marked(backbone, "[a horse] chases a horse")


LONG = "a box on a wide and empty floor that goes on [a yellow box] slides"


def test_a_subject_beyond_the_tokenizers_length_is_refused(backbone):
    with pytest.raises(UserError, match=r"'a yellow box' lies beyond the 32 tokens.*name it earlier"):
        backbone.encode_text([parse_prompt(LONG)])


def test_a_prompt_that_is_cut_says_what_is_cut(backbone):
    with pytest.warns(UserWarning, match="takes 32 tokens; 'des' is cut from the prompt"):
        backbone.encode_text([Prompt("a wide and empty floor on which it slides", (2, 6))])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backbone.encode_text([Prompt("a fox")])


def test_no_subject_marks_everything_and_the_empty_prompt_is_no_exception(backbone):
    text, marks, pooled = backbone.encode_text([Prompt("a fox runs"), Prompt("")])
    assert text.shape == (2, 32, TEXT_WIDTH)
    assert pooled is None
    assert marks.all()


def test_training_and_sampling_drop_the_prompt_alike(backbone, overrides, triples, tmp_path):
    config = configure(overrides, "data.prompt_dropout=1")
    settings = replace(OmegaConf.to_object(config.data), cache_dir=str(tmp_path))
    data = MaskVidDataModule(settings).attach(backbone)
    data.setup()
    dropped = next(iter(data.train_dataloader()))
    pipe = MaskVidPipeline.holding(backbone)
    unconditional = pipe._without_prompt(next(iter(data.val_dataloader()[0])))
    for name in ("text", "subject"):
        assert torch.equal(getattr(dropped, name)[0], getattr(unconditional, name)[0])
    assert dropped.subject.all()


@pytest.mark.parametrize("zeros", [True, False])
def test_sdxls_empty_prompt_is_zeros_where_its_pipeline_says_so(sdxl, zeros):
    sdxl.pipeline.register_to_config(force_zeros_for_empty_prompt=zeros)
    text, marks, pooled = sdxl.encode_text([Prompt(""), Prompt("a fox")])
    assert text[0].any() == pooled[0].any() == (not zeros)
    assert text[1].any()
    assert pooled[1].any()
    assert marks.all()
    # what diffusers makes of a missing negative prompt
    _, negative, _, negative_pooled = sdxl.pipeline.encode_prompt("a fox", device="cpu")
    torch.testing.assert_close(text[0], negative[0])
    torch.testing.assert_close(pooled[0], negative_pooled[0])


def test_requests_refuse_what_captions_refuse(overrides, triples, tmp_path):
    train(configure(overrides, f"run_dir={tmp_path}", "method.trained=false", "data.validation=null"))
    for prompt, words in ((LONG, "lies beyond"), ("[] runs", "prompt=.*empty brackets"), ("[a] [b]", "marks 2")):
        with pytest.raises(UserError, match=words):
            generate(configure_generate(tmp_path, triples, f'prompt="{prompt}"'))
    with pytest.raises(UserError, match="source_prompt='a]'.*unbalanced"):
        edit(configure_edit(tmp_path, triples, 'source_prompt="a]"'))
