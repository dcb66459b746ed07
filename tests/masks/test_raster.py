"""How a drawing becomes masks: places and sizes, easings, paths, morphs, layers, and feet that do not slide."""

import numpy as np
import pytest
from PIL import Image

from maskvid.masks.draw import Drawing, draw_masks, draw_objects
from maskvid.masks.draw.easing import eased, travelled
from maskvid.masks.draw.form import Placing, between, coverage, form_of
from maskvid.masks.draw.silhouettes import animals, gaits, recorded
from maskvid.masks.draw.strides import gait_of

SIZE = (96, 144)


def drawn(*objects, frames=5, size=SIZE, **more):
    return draw_masks(Drawing(objects=list(objects), frames=frames, size=size, **more)) / 255


def centre(mask):
    rows, columns = (mask.sum(axis) @ np.arange(mask.shape[1 - axis]) / mask.sum() for axis in (1, 0))
    return rows + 0.5, columns + 0.5


def key(at, **values):
    return {"at": at, **values}


def test_an_ellipse_has_its_area_and_stands_where_it_is_asked():
    [mask] = drawn({"shape": {"kind": "ellipse", "aspect": 1.5}, "keys": [key(0, x=0.3, y=0.6, scale=0.5)]}, frames=1)
    height = 0.5 * 96
    assert mask.sum() == pytest.approx(np.pi / 4 * height * 1.5 * height, rel=0.01)
    assert centre(mask) == pytest.approx((0.6 * 96, 0.3 * 144), abs=0.15)


@pytest.mark.parametrize("size", [(64, 96), (320, 480), (33, 70)])
def test_a_drawing_is_the_same_at_every_size(size):
    objects = [{"shape": "horse", "keys": [key(0, x=0.4, y=0.8, scale=0.6)]}]
    [mask], [large] = drawn(*objects, frames=1, size=size), drawn(*objects, frames=1, size=(640, 960))
    height, width = size
    assert mask.sum() / height**2 == pytest.approx(large.sum() / 640**2, rel=0.02)
    rows, columns = centre(mask)
    assert rows / height == pytest.approx(centre(large)[0] / 640, abs=0.01)
    offset = (columns - 0.4 * width) / height
    assert offset == pytest.approx((centre(large)[1] - 0.4 * 960) / 640, abs=0.01)


def test_keys_set_what_they_name_and_ease_to_their_next():
    keys = [key(0, x=0.2, y=0.5, scale=0.2, ease="ease-in"), key(2, y=0.3), key(4, x=0.8, scale=0.4)]
    masks = drawn({"shape": "rectangle", "keys": keys})
    columns = [centre(m)[1] / 144 for m in masks]
    assert columns == pytest.approx(0.2 + 0.6 * eased("ease-in", np.linspace(0, 1, 5)), abs=0.003)
    assert centre(masks[2])[0] / 96 == pytest.approx(0.3, abs=0.003)
    assert masks[4].sum() == pytest.approx(4 * masks[0].sum(), rel=0.02)


def test_rotation_is_against_the_clock_and_a_flip_mirrors():
    corner = {"kind": "polygon", "points": [[0, 0], [1, 0], [1, 1]]}  # its right angle is above, to the right
    keys = [key(0, scale=0.5, rotation=0), key(1, rotation=90, ease="hold"), key(2, rotation=0, flip=True)]
    masks = drawn({"shape": corner, "keys": keys}, frames=3)

    def heavier(mask):
        return mask[:48].sum() > mask[48:].sum(), mask[:, :72].sum() > mask[:, 72:].sum()

    assert heavier(masks[0]) == (True, False)
    assert heavier(masks[1]) == (True, True)  # above, to the left


def test_flip_and_visibility_hold_from_their_key_on():
    corner = {"kind": "polygon", "points": [[0, 0], [1, 0], [1, 1]]}
    keys = [key(0, scale=0.5, flip=False, visible=True), key(2, flip=True), key(3, visible=False)]
    masks = drawn({"shape": corner, "keys": keys}, frames=5)
    np.testing.assert_array_equal(masks[0], masks[1])
    np.testing.assert_allclose(masks[2], masks[0][:, ::-1], atol=0.02)
    assert not masks[3:].any()


def test_easings_are_those_of_css():
    share = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(eased("linear", share), share)
    np.testing.assert_allclose(eased("ease-in", share), [0, 0.0934, 0.3154, 0.6219, 1], atol=1e-3)
    np.testing.assert_allclose(eased("ease-in-out", share), [0, 0.1292, 0.5, 0.8708, 1], atol=1e-3)
    np.testing.assert_allclose(eased((0.25, 0.1, 0.25, 1.0), share), [0, 0.4085, 0.8024, 0.9605, 1], atol=1e-3)
    np.testing.assert_allclose(eased("hold", share), [0, 0, 0, 0, 1])
    np.testing.assert_allclose(travelled([(0, 0), (0.5, 0.9), (1, 1)], np.array([0, 0.5, 1])), [0, 0.9, 1])


@pytest.mark.parametrize("speed", ["linear", [(0, 0), (0.5, 0.9), (1, 1)]])
def test_a_path_is_followed_by_its_length_at_its_speed(speed):
    course = {"points": [[0.1, 0.2], [0.9, 0.2], [0.9, 0.8]], "smooth": False, "speed": speed}
    masks = drawn({"shape": "ellipse", "path": course, "keys": [key(0, scale=0.1)]}, frames=5)
    whole = 0.8 * 144 + 0.6 * 96
    for mask, share in zip(masks, travelled(speed, np.linspace(0, 1, 5)), strict=True):
        way = share * whole
        want = (0.2 * 96, 0.1 * 144 + way) if way < 0.8 * 144 else (0.2 * 96 + way - 0.8 * 144, 0.9 * 144)
        assert centre(mask) == pytest.approx(want, abs=0.6)


def test_a_path_of_svg_is_one_of_points_and_what_follows_it_turns():
    bar = {"kind": "rectangle", "aspect": 4.0}
    course = {"svg": "M 0.1 0.5 L 0.5 0.5 L 0.5 0.8", "follow": True, "start": 1, "end": 3}
    masks = drawn({"shape": bar, "path": course, "keys": [key(0, scale=0.05)]}, frames=5)
    np.testing.assert_array_equal(masks[0], masks[1])
    extents = [tuple(np.ptp(np.nonzero(m > 0.5), axis=1)) for m in masks]
    assert extents[1][1] > 3 * extents[1][0]  # lies
    assert extents[4][0] > 3 * extents[4][1]  # stands
    assert centre(masks[4]) == pytest.approx((0.8 * 96, 0.5 * 144), abs=0.5)


def test_a_smooth_path_goes_through_its_points():
    points = [[0.2, 0.8], [0.5, 0.2], [0.5, 0.2], [0.8, 0.8]]  # a point twice does no harm
    masks = drawn({"shape": "ellipse", "path": {"points": points}, "keys": [key(0, scale=0.06)]}, frames=41)
    places = np.array([centre(m) for m in masks]) / SIZE
    for x, y in points:
        assert np.hypot(*(places - [y, x]).T).min() < 0.02


def test_a_shape_becomes_another_by_its_distances():
    square, circle = np.zeros((200, 200)), np.zeros((200, 200))
    square[50:150, 50:150] = 1
    rows, columns = np.mgrid[:200, :200]
    circle[np.hypot(rows - 99.5, columns - 99.5) < 80] = 1
    first, second = (form_of(m, 100, (99.5, 99.5)) for m in (square, circle))
    areas = [coverage(between(first, second, t), (200, 200), Placing(99.5, 99.5, 100)) for t in (0, 0.25, 0.5, 0.75, 1)]
    sizes = [float(a.sum()) for a in areas]
    assert sizes[0] == pytest.approx(100**2, rel=0.01)
    assert sizes[-1] == pytest.approx(np.pi * 80**2, rel=0.01)
    assert sizes == sorted(sizes)
    half = areas[2] > 0.5  # along an axis the edge is half way between both edges: (50 + 80) / 2
    assert np.flatnonzero(half[100]).max() - 99.5 == pytest.approx(65, abs=1)


def test_a_morph_takes_place_between_its_keys():
    keys = [key(0, scale=0.5), key(1, shape="ellipse"), key(3, shape="rectangle")]
    masks = drawn({"shape": "horse/stand", "keys": keys}, frames=5)
    areas = masks.sum((1, 2))
    assert areas[1] == pytest.approx(np.pi / 4 * 48**2, rel=0.01)
    assert areas[1] < areas[2] < areas[3]
    assert areas[3] == pytest.approx(48**2, rel=0.01)
    np.testing.assert_array_equal(masks[3], masks[4])


def test_what_is_in_front_hides_and_occluders_are_no_foreground():
    box = {"shape": "rectangle", "keys": [key(0, x=0.5, y=0.5, scale=0.5)]}
    ball = {"shape": "ellipse", "keys": [key(0, x=0.5, y=0.5, scale=0.25)]}
    objects = Drawing(objects=[box, ball], frames=1, size=SIZE)
    [[behind, front]] = list(draw_objects(objects))
    assert behind[48, 72] == 0
    assert front[48, 72] == 255
    np.testing.assert_array_equal(draw_masks(objects)[0], np.rint(drawn(box, frames=1)[0] * 255))  # no seam
    tree = {"shape": "rectangle", "occluder": True, "keys": [key(0, x=0.5, y=0.5, scale=0.25)]}
    left = drawn(box, tree, frames=1)[0]
    assert left.sum() == pytest.approx(48**2 - 24**2, rel=0.01)


def test_every_form_of_a_shape_is_read(tmp_path):
    Image.fromarray(np.pad(np.full((20, 40), 255, np.uint8), 7)).save(tmp_path / "bar.png")
    (tmp_path / "ring.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg"><g transform="translate(5 5)"><circle cx="10" cy="10" r="10"/>'
        '<circle cx="10" cy="10" r="5"/></g></svg>'
    )
    np.savez(tmp_path / "blink.npz", masks=np.stack([np.eye(30), np.ones((30, 30))]), fps=4.0)
    shapes = {
        "bar": ({"kind": "picture", "file": str(tmp_path / "bar.png")}, 2 * 48**2),
        "ring": ({"kind": "svg", "file": str(tmp_path / "ring.svg")}, np.pi / 4 * (48**2 - 24**2)),
        "arc": ({"kind": "svg", "path": "M 0 10 A 10 10 0 0 1 20 10 Z"}, np.pi / 2 * 48**2),
        "square": ({"kind": "svg", "path": "m 3 3 h 9 v 9 h -9 z"}, 48**2),
    }
    for name, (shape, area) in shapes.items():
        [mask] = drawn({"shape": shape, "keys": [key(0, scale=0.5)]}, frames=1)
        assert mask.sum() == pytest.approx(area, rel=0.02), name
    blinks = drawn({"shape": {"kind": "silhouette", "file": str(tmp_path / "blink.npz")}}, frames=4, fps=4)
    areas = blinks.sum((1, 2))
    assert areas[0] == areas[2]
    assert areas[1] == areas[3] > 5 * areas[0]


def contacts(mask, rows):
    """Middles of the places where something stands on the ground."""
    touching = np.flatnonzero((mask[rows] > 0.5).any(0))
    runs = np.split(touching, np.flatnonzero(np.diff(touching) > 1) + 1)
    return [run.mean() for run in runs if len(run)]


@pytest.mark.parametrize("animal", ["horse", "elephant"])
@pytest.mark.parametrize("gait", ["walk", "trot"])
def test_no_hoof_slides(animal, gait):
    """Where a foot touches the ground in two frames, it stays where it is, however fast the body goes."""
    cycle = recorded(animal, gait)
    size, fps = (256, 768), 16 * cycle.pace  # a picture a frame: between two the nearest is taken
    speed = cycle.stride * cycle.pace * 0.6 / 3  # shares of the width a second
    frames = 24
    keys = [key(0, x=0.3, y=0.9, scale=0.6), key(frames - 1, x=0.3 + speed * (frames - 1) / fps)]
    masks = drawn({"shape": f"{animal}/{gait}", "keys": keys}, frames=frames, size=size, fps=fps)
    body = speed * 768 / fps
    ground = max(np.flatnonzero((m > 0.5).any(1)).max() for m in masks)
    rows = slice(ground - 5, ground + 1)
    slides = steps_of_feet(masks, rows, 1.5 * body)
    assert len(slides) > frames / 2
    assert np.median(slides) < 0.25 * body
    treadmill = {"kind": "silhouette", "of": animal, "gait": gait, "cadence": 2 * cycle.pace}
    wrong = drawn({"shape": treadmill, "keys": keys}, frames=frames, size=size, fps=fps)
    assert np.median(steps_of_feet(wrong, rows, 1.5 * body)) > 0.5 * body


def steps_of_feet(masks, rows, longest):
    """Columns between what stands on the ground in a frame and its nearest in the next, as far as that is the same."""
    found = []
    for before, after in zip(masks, masks[1:], strict=False):
        there = contacts(after, rows)
        found += [min(abs(foot - other) for other in there) for foot in contacts(before, rows) if there]
    return [step for step in found if step <= longest]


def test_the_gait_follows_the_speed_and_an_animal_at_rest_stands():
    assert gaits("horse") == ("stand", "walk", "trot", "gallop")
    assert [gait_of("horse", v) for v in (0.0, 0.5, 1.0, 3.0)] == ["stand", "walk", "trot", "gallop"]
    keys = [key(0, x=0.2, y=0.85, scale=0.4), key(4, x=0.6), key(9, x=0.6)]
    masks = drawn({"shape": "horse", "keys": keys}, frames=10)
    for mask in masks[7:]:
        np.testing.assert_array_equal(mask, masks[6])


def test_an_animal_faces_where_it_goes_and_turns_on_the_way():
    keys = [key(0, x=0.3, y=0.85, scale=0.4), key(12, x=0.6), key(24, x=0.3)]
    masks = drawn({"shape": "horse", "keys": keys}, frames=25, fps=8)
    right, left = drawn({"shape": "horse", "keys": keys}, frames=25, fps=8)[[5, 20]]

    def leaning(mask):  # the head is above the middle: the upper half of a horse that faces right lies to the right
        rows = np.flatnonzero(mask.any(1))
        upper = np.zeros_like(mask)
        upper[rows[0] : rows[0] + 8] = mask[rows[0] : rows[0] + 8]
        return centre(upper)[1] - centre(mask)[1]

    assert leaning(right) > 3
    assert leaning(left) < -3
    widths = [np.ptp(np.flatnonzero(m.any(0))) for m in masks]
    assert min(widths[10:15]) < 0.6 * widths[5]  # seen from behind in between
    stubborn = [{**k, "flip": False} for k in keys]
    still_right = drawn({"shape": "horse", "keys": stubborn}, frames=25, fps=8)
    assert leaning(still_right[20]) > 3


def test_a_jump_leaves_the_ground_and_comes_back():
    keys = [key(0, x=0.2, y=0.9, scale=0.4), key(15, x=0.8)]
    masks = drawn({"shape": "horse", "keys": keys, "jumps": [4]}, frames=16, fps=8)
    lowest = np.array([np.flatnonzero((m > 0.5).any(1)).max() for m in masks])
    assert lowest[7] < lowest[2] - 6
    assert abs(lowest[14] - lowest[2]) <= 2


def test_what_comes_nearer_walks():
    keys = [key(0, x=0.5, y=0.9, scale=0.3), key(8, scale=0.6)]
    near = drawn({"shape": "horse/walk", "keys": keys}, frames=9, fps=8)
    first, later = (m[np.flatnonzero(m.any(1))[-12:]] for m in near[[2, 6]])
    assert len(contacts(first, slice(None))) != len(contacts(later, slice(None))) or not np.allclose(
        np.diff(contacts(first, slice(None))) / near[2].sum() ** 0.5,
        np.diff(contacts(later, slice(None))) / near[6].sum() ** 0.5,
        atol=0.02,
    )


@pytest.mark.parametrize("animal", animals())
def test_the_library_is_whole(animal):
    for name in (*gaits(animal), "turn", "jump"):
        forms = recorded(animal, name).forms
        assert len(forms) == {"stand": 1, "turn": 13, "jump": 16}.get(name, 16)
        for form in forms:
            rows = np.flatnonzero((form.distance > 0).any(1))
            assert 0.7 < len(rows) / form.unit < 1.25
    walk = recorded(animal, "walk")
    assert 0.2 < walk.stride < recorded(animal, "gallop").stride < 3
