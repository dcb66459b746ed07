"""Few steps on backbones that need many by themselves: a LoRA of LCM's kind, added behind tuning, with all steering."""

import numpy as np
import pytest
import torch
from PIL import Image

from maskvid import MaskVidPipeline
from maskvid.errors import UserError
from maskvid.generate import generate
from tests.runs import configure_generate

FAST = ("LCMScheduler", "TCDScheduler")


@pytest.mark.parametrize("scheduler", FAST)
def test_a_lora_for_few_steps_goes_with_all_steering(tuned, triples, tmp_path, scheduler):
    run, lora = tuned
    few = [f"scheduler.name={scheduler}", "sampling.num_inference_steps=4", "sampling.guidance_scale=1"]
    asked = (
        [], ["sampling.mask_scale=1.5", "num_frames=5"], ["sampling.mask_precision=box"],
        ["sampling.guidance_scale=1.5"],
    )  # fmt: skip
    for number, more in enumerate(asked):
        out = f"out={tmp_path / str(number)}"
        videos = generate(
            configure_generate(run, triples, f"backbone.fast_lora={lora}", *few, *more, out, "judge=false")
        )
        assert [video.exists() for video in videos] == [True, True], more


def test_it_changes_the_video_and_not_what_the_adapter_was_tuned_on(tuned, tmp_path):
    run, lora = tuned
    plain, fast = (MaskVidPipeline.from_pretrained(run, backbone=more) for more in ({}, {"fast_lora": lora}))
    assert fast.backbone.fingerprint == plain.backbone.fingerprint
    masks = np.zeros((3, 2, 32, 48), np.uint8)
    masks[:, 0, 8:24, 4:20], masks[:, 1, 8:24, 28:44] = 1, 1

    def made(pipe):
        pipe.set_progress_bar_config(disable=True)
        first = Image.new("RGB", (48, 32), "grey")
        draws = torch.Generator().manual_seed(1)
        return pipe(
            "[a fox] meets [a bird]", masks, first, num_inference_steps=4, generator=draws, output_type="latent"
        ).frames

    assert not torch.equal(made(fast), made(plain))
    assert made(fast).isfinite().all()
    with pytest.raises(UserError, match="fast_lora is in the backbone's weights"):
        fast.save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"backbone\.fast_lora='/nowhere': no /nowhere here"):
        MaskVidPipeline.from_pretrained(run, backbone={"fast_lora": "/nowhere"})
