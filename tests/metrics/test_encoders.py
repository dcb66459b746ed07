"""The judges that users may name in place of the miniature's: DINO and SAM 2, of true architecture at tiny width."""

import pytest
import torch
from PIL import Image
from transformers import (
    BitImageProcessor,
    Dinov2Config,
    Dinov2Model,
    Sam2VideoModel,
    Sam2VideoProcessor,
)

from maskvid.errors import UserError
from maskvid.judges.dino_encoder import DinoEncoder
from maskvid.judges.panel import MetricEncoders
from maskvid.judges.segmenter import Segmenter, load_segmenter
from maskvid.media.writing import to_uint8
from tests.metrics.judges import clip, save_sam2


@pytest.fixture(scope="module")
def dino(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dino")
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}
    Dinov2Model(Dinov2Config(**shape)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def sam2(tmp_path_factory):
    return save_sam2(tmp_path_factory.mktemp("sam2"))


def pictures(frames):
    """What a saved video holds of frames in [-1, 1]: RGB pictures of whole grey levels."""
    return [Image.fromarray(frame) for frame in to_uint8(frames)]


@pytest.mark.parametrize(
    "settings",
    [
        {"size": {"shortest_edge": 32}, "crop_size": {"height": 28, "width": 28}},
        {"size": {"height": 28, "width": 28}, "do_center_crop": False, "resample": 2, "image_mean": [0.5] * 3},
        {"size": {"shortest_edge": 28}, "do_center_crop": False, "rescale_factor": 1 / 127.5, "image_mean": [1.0] * 3},
    ],
    ids=["cropped", "squashed", "other rescaling"],
)
def test_dino_embeds_frames_as_its_own_processor_prepares_them(dino, settings):
    frames = clip(0)[0]
    BitImageProcessor(**settings).save_pretrained(dino)
    found = DinoEncoder(dino).images(frames)
    inputs = BitImageProcessor.from_pretrained(dino)(pictures(frames), return_tensors="pt")
    with torch.no_grad():
        want = Dinov2Model.from_pretrained(dino).eval()(**inputs).last_hidden_state[:, 0]
    torch.testing.assert_close(found, want, rtol=1e-5, atol=1e-5)


def test_sam2_is_shown_frames_and_mask_as_its_own_processor_prepares_them(sam2):
    frames, masks, _ = clip(0)
    processor, model = Sam2VideoProcessor.from_pretrained(sam2), Sam2VideoModel.from_pretrained(sam2).eval()
    session = processor.init_video_session(video=pictures(frames))
    processor.add_inputs_to_inference_session(session, frame_idx=0, obj_ids=1, input_masks=masks[0, 0].numpy() >= 0.5)
    with torch.no_grad():
        outputs = list(model.propagate_in_video_iterator(session, start_frame_idx=0))
    found = load_segmenter(sam2)(frames, masks)
    for output, probability in zip(outputs, found, strict=True):
        sizes = [frames.shape[-2:]]
        [want] = processor.post_process_masks([output.pred_masks], original_sizes=sizes, binarize=False)
        torch.testing.assert_close(probability[None], want.sigmoid(), rtol=1e-4, atol=1e-4)


def test_sam2_follows_the_first_mask_and_sees_no_other(sam2):
    frames, masks, _ = clip(0)
    segment = load_segmenter(sam2)
    found = segment(frames, masks)
    assert found.shape == masks.shape
    given = (found[0] >= 0.5) == (masks[0] >= 0.5)  # where it begins is the mask itself, but for its own grid
    assert given.float().mean() > 0.9
    others = torch.cat([masks[:1], 1 - masks[1:]])
    torch.testing.assert_close(segment(frames, others), found, rtol=0, atol=0)
    assert not torch.equal(segment(frames, masks.flip(0)), found)
    with pytest.raises(UserError, match="first mask"):
        segment(frames, torch.zeros_like(masks))


def test_the_miniature_needs_no_masks_and_any_callable_will_do(tmp_path):
    Segmenter((4, 8)).save_pretrained(tmp_path / "own")
    frames, masks, _ = clip(0, count=40)
    own = MetricEncoders(segmenter=tmp_path / "own")
    with torch.no_grad():
        whole = Segmenter.from_pretrained(tmp_path / "own")(frames)
    torch.testing.assert_close(own.segmenter(frames, masks), whole)
    assert MetricEncoders(segmenter=torch.nn.Identity()).segmenter(frames) is frames


def test_misnamed_judges_are_named(tmp_path):
    with pytest.raises(UserError, match="dino="):
        DinoEncoder(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "sam2_video"}')
    with pytest.raises(UserError, match="segmenter="):
        load_segmenter(tmp_path)
    assert MetricEncoders().dino is None


def test_what_judged_is_described(dino):
    described = MetricEncoders(dino=dino).describe()
    assert described["clip"] == "maskvid miniature CLIP"
    assert described["dino"] == str(dino)
    assert described["pretrained"] is None
