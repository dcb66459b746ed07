"""What finds the foreground: networks of true architecture with random weights, and those that need none."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from transformers import AutoProcessor, BlipForConditionalGeneration, GroundingDinoForObjectDetection

from maskvid.errors import UserError
from maskvid.footage.captioner import Captioner
from maskvid.footage.detector import Detection, Detector
from maskvid.footage.embedded import Embedded
from maskvid.footage.finders import Earlier, Lead, NotFound, make_finder
from maskvid.footage.grabcut import GrabCut
from maskvid.footage.placing import box_in, points_in
from maskvid.footage.tracked import Tracked
from maskvid.judges.sam2 import Sam2Segmenter
from maskvid.preparation import Preparation
from tests.data.tiny import make_frames, make_masks
from tests.footage.films import horse, iou
from tests.footage.networks import save_blip, save_grounding_dino, save_owl
from tests.metrics.judges import save_sam2

CPU = torch.device("cpu")
FRAMES = make_frames(6, 64, 96)
MASKS = make_masks(6, 64, 96) > 0
SQUARE = (3.0, 15.0, 18.0, 33.0)
"""A box around the square of the first frame."""


@pytest.fixture(scope="module")
def sam2(tmp_path_factory):
    return save_sam2(tmp_path_factory.mktemp("sam2"), seed=3)  # finds something, by chance


@pytest.fixture(scope="module")
def dino(tmp_path_factory):
    return save_grounding_dino(tmp_path_factory.mktemp("dino") / "model")


def test_the_embedded_segmenter_knows_the_embedded_world_at_any_size():
    frames, masks = horse(1)
    assert iou(Embedded(CPU)(frames[:8], Lead()), masks[:8]) > 0.85
    large = frames[:4].repeat(3, axis=1).repeat(3, axis=2)
    assert iou(Embedded(CPU)(large, Lead()), masks[:4].repeat(3, axis=1).repeat(3, axis=2)) > 0.85
    with pytest.raises(NotFound, match="no animal"):
        Embedded(CPU)(np.full((2, 64, 96, 3), 90, np.uint8), Lead())


@pytest.mark.parametrize("name", ["astronaut", "camera", "coins", "chelsea", "rocket"])
def test_the_embedded_segmenter_says_that_it_does_not_know_photographs(name):
    skimage = pytest.importorskip("skimage")
    try:
        picture = getattr(skimage.data, name)()
    except Exception as error:
        pytest.skip(f"this picture is not in the package: {error}")
    frame = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    with pytest.raises(NotFound, match="does not know what it sees|sees no animal"):
        Embedded(CPU)(np.repeat(frame[None], 2, axis=0), Lead())


def test_grabcut_follows_what_the_box_shows():
    found = GrabCut()(FRAMES, Lead(box=SQUARE))
    assert iou(found, MASKS) > 0.7  # a square of 12 x 16 pixels, an edge of one
    frames, masks = horse(5)
    ys, xs = np.nonzero(masks[0])
    box = (float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max()))
    assert iou(GrabCut()(frames[:12:2], Lead(box=box)), masks[:12:2]) > 0.6


def test_grabcut_goes_on_where_the_window_before_ended_and_needs_no_box_there():
    whole = GrabCut()(FRAMES, Lead(box=SQUARE))
    later = GrabCut()(FRAMES[3:], Lead(box=(70.0, 2.0, 90.0, 10.0), earlier=Earlier(FRAMES[2], whole[2])))
    assert iou(later, MASKS[3:]) > 0.7
    with pytest.raises(NotFound, match="lost in the window before"):
        GrabCut()(FRAMES[3:], Lead(box=SQUARE, earlier=Earlier(FRAMES[2], np.zeros((64, 96), bool))))


def test_frames_between_lead_grabcut_over_a_long_way():
    frames, masks = make_frames(25, 64, 96), make_masks(25, 64, 96) > 0  # two pixels a frame
    far = GrabCut()(frames[::12], Lead(box=SQUARE))
    assert iou(far[1:], masks[12::12]) < 0.3
    led = GrabCut()(np.concatenate([frames[:1].repeat(11, axis=0), frames]), Lead(box=SQUARE, step=12))
    assert led.shape == far.shape
    assert iou(led, masks[::12]) > 0.7


def test_grabcut_is_the_same_twice_and_tells_what_it_cannot_see():
    assert np.array_equal(GrabCut()(FRAMES, Lead(box=SQUARE)), GrabCut()(FRAMES, Lead(box=SQUARE)))
    with pytest.raises(NotFound, match="outside the picture"):
        GrabCut()(FRAMES, Lead(box=(200.0, 10.0, 220.0, 20.0)))
    with pytest.raises(NotFound, match="nothing within the box"):
        GrabCut()(np.zeros((3, 64, 96, 3), np.uint8), Lead(box=(94.0, 62.0, 95.9, 63.9)))


def test_a_detector_gives_its_surest_place(dino):
    found = Detector(str(dino), CPU)(FRAMES[0], "the horse")
    processor = AutoProcessor.from_pretrained(dino)
    model = GroundingDinoForObjectDetection.from_pretrained(dino).eval()
    inputs = processor(images=FRAMES[0], text="horse.", return_tensors="pt")
    with torch.no_grad():
        outputs = model(**inputs)
    scores = outputs.logits[0].sigmoid().max(-1).values
    x, y, w, h = (outputs.pred_boxes[0][scores.argmax()] * torch.tensor([96.0, 64, 96, 64])).tolist()
    assert found is not None
    assert found.score == pytest.approx(float(scores.max()), abs=1e-5)
    assert found.box == pytest.approx((x - w / 2, y - h / 2, x + w / 2, y + h / 2), abs=1e-3)


def test_an_owl_detects_as_well_and_nothing_may_be_there(tmp_path, monkeypatch):
    owl = Detector(str(save_owl(tmp_path / "owl")), CPU)
    found = owl(FRAMES[0], "the horse")
    assert isinstance(found, Detection)
    monkeypatch.setattr("maskvid.footage.detector.LEAST_OWL", 1.1)
    assert owl(FRAMES[0], "the horse") is None


def test_sam2_begins_where_the_detector_is_surest_and_goes_both_ways(sam2, dino, monkeypatch):
    finder = Tracked(str(sam2), detector=str(dino), subject="the horse", device=CPU)
    box = (5.0, 10.0, 40.0, 50.0)
    scores = iter([0.3, 0.4, 0.9, 0.5])
    monkeypatch.setattr(finder, "detector", lambda frame, subject: Detection(box, next(scores)))
    found = finder(FRAMES, Lead())
    want = Sam2Segmenter(sam2).follow(FRAMES, 3, box=box)  # the third of four looks at six frames
    assert want[0].any() or want[5].any()
    assert np.array_equal(found, want)
    other = Sam2Segmenter(sam2).follow(FRAMES, 0, box=box)
    assert not np.array_equal(want, other)


def test_sam2_is_led_by_what_a_person_shows_and_then_by_the_window_before(sam2):
    finder = Tracked(str(sam2), detector=None, subject="", device=CPU)
    segmenter = Sam2Segmenter(sam2)
    assert np.array_equal(finder(FRAMES, Lead(box=SQUARE)), segmenter.follow(FRAMES, 0, box=SQUARE))
    points = ((10.0, 20.0, 1), (80.0, 50.0, 0))
    assert np.array_equal(finder(FRAMES, Lead(points=points)), segmenter.follow(FRAMES, 0, points=points))
    earlier = Earlier(FRAMES[2], MASKS[2])
    later = finder(FRAMES[3:], Lead(box=SQUARE, earlier=earlier))
    assert np.array_equal(later, segmenter.follow(FRAMES[2:], 0, mask=MASKS[2])[1:])
    with pytest.raises(NotFound, match="lost in the window before"):
        finder(FRAMES[3:], Lead(box=SQUARE, earlier=Earlier(FRAMES[2], ~MASKS[2] & MASKS[2])))


def test_what_the_detector_does_not_see_is_led_by_the_window_before_or_not_found(sam2, dino, monkeypatch):
    finder = Tracked(str(sam2), detector=str(dino), subject="the horse", device=CPU)
    monkeypatch.setattr("maskvid.footage.detector.LEAST", 1.1)
    with pytest.raises(NotFound, match="the detector sees no 'the horse'"):
        finder(FRAMES, Lead())
    found = finder(FRAMES[3:], Lead(earlier=Earlier(FRAMES[2], MASKS[2])))
    assert np.array_equal(found, Sam2Segmenter(sam2).follow(FRAMES[2:], 0, mask=MASKS[2])[1:])
    with pytest.raises(NotFound, match="sees no 'the horse'"):
        finder(FRAMES[3:], Lead(earlier=Earlier(FRAMES[2], MASKS[2] & False)))


def test_what_cannot_be_had_is_told_with_what_does_without(tmp_path, sam2):
    lacking = Preparation(subject="it", model=str(tmp_path), detector=str(tmp_path))
    with pytest.raises(UserError, match="model=.*cannot be loaded.*grabcut box"):
        make_finder(lacking, CPU)
    with pytest.raises(UserError, match="detector=.*cannot be loaded.*grabcut box"):
        make_finder(Preparation(subject="it", model=str(sam2), detector=str(tmp_path)), CPU)
    (tmp_path / "config.json").write_text('{"auto_map": {"AutoModel": "evil.Evil"}}')
    with pytest.raises(UserError, match="auto_map, by which code"):
        make_finder(Preparation(subject="it", model=str(sam2), detector=str(tmp_path)), CPU)
    with pytest.raises(UserError, match="auto_map, by which code"):
        Captioner(str(tmp_path), CPU)


def test_a_hub_that_cannot_be_reached_is_told_at_once(monkeypatch):
    """The libraries would try for minutes."""

    def unreachable(self, path, timeout):
        raise ConnectionError("name or service not known")

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", unreachable)
    monkeypatch.setattr("maskvid.footage.tracked.Sam2Segmenter", lambda *_, **__: pytest.fail("it was tried"))
    with pytest.raises(UserError, match="the hub does not give it: name or service.*model=FOLDER detector=FOLDER"):
        make_finder(Preparation(subject="it", model="nobody/nothing-here"), CPU)
    with pytest.raises(UserError, match="no folder, and no hub id"):
        make_finder(Preparation(subject="it", model="/no where/at all"), CPU)


def test_rembg_marks_what_a_file_of_its_class_says_is_salient(tmp_path):
    if find_spec("rembg") is None:  # it is not imported here, see NO_COMPILER
        pytest.skip("the extra rembg is not installed")
    onnx = pytest.importorskip("onnx")
    weights = np.full((1, 3, 1, 1), 1 / 3, np.float32)  # brightness: a saliency that can be foretold
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Conv", ["input", "weights"], ["output"])],
        "tiny",
        [onnx.helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, [1, 3, 320, 320])],
        [onnx.helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, [1, 1, 320, 320])],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "tiny.onnx")
    wanted = Preparation(subject="it", foreground="rembg", model=str(tmp_path / "tiny.onnx"))
    frames = np.where(MASKS[..., None], 250, 20).astype(np.uint8).repeat(3, axis=-1)
    assert iou(make_finder(wanted, CPU)(frames, Lead()), MASKS) > 0.9
    assert np.array_equal(
        make_finder(Preparation(subject="it", foreground="rembg", model=str(tmp_path)), CPU)(frames, Lead()),
        make_finder(wanted, CPU)(frames, Lead()),
    )
    (tmp_path / "tiny.onnx").write_bytes(b"no model")
    with pytest.raises(UserError, match="cannot be loaded"):
        make_finder(wanted, CPU)
    (tmp_path / "more.onnx").write_bytes(b"")
    with pytest.raises(UserError, match="2 .onnx files"):
        make_finder(Preparation(subject="it", foreground="rembg", model=str(tmp_path)), CPU)


def test_without_its_extra_rembg_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "rembg", None)
    monkeypatch.setitem(sys.modules, "rembg.session_factory", None)
    with pytest.raises(UserError, match=r"maskvid\[rembg\].*grabcut"):
        make_finder(Preparation(subject="it", foreground="rembg"), CPU)


def test_a_captioner_says_what_its_own_processor_and_model_say(tmp_path):
    folder = save_blip(tmp_path / "blip")
    words = Captioner(str(folder), CPU)(FRAMES[0])
    processor = AutoProcessor.from_pretrained(folder)
    model = BlipForConditionalGeneration.from_pretrained(folder).eval()
    tokens = model.generate(**processor(images=FRAMES[0], return_tensors="pt"), max_new_tokens=30)
    assert words == processor.decode(tokens[0], skip_special_tokens=True)
    assert words


def test_places_are_shares_or_pixels_of_the_clips_own_picture():
    source, window = (200, 400), (50, 50)  # the middle 200 columns are left, at a quarter of the size
    assert box_in(Preparation(subject="it", box=[0.25, 0, 0.75, 1]), source, window) == (0, 0, 50, 50)
    assert box_in(Preparation(subject="it", box=[100, 0, 300, 200]), source, window) == (0, 0, 50, 50)
    assert box_in(Preparation(subject="it"), source, window) is None
    points = points_in(Preparation(subject="it", points=[[200, 100], [300, 200, 0]]), source, window)
    assert points == ((25, 25, 1), (50, 50, 0))
