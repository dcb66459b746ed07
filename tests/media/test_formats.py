"""Pictures, arrays and run lengths mean what those who saved them meant."""

import io
import json
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from maskvid.errors import UserError
from maskvid.masks.read import count_masks, iter_masks
from maskvid.media.frames import iter_frames
from maskvid.media.pictures import read_frame

CASES = Path(__file__).parent / "cases"
DISK = np.hypot(*(np.mgrid[:24, :32] - np.array([12, 16])[:, None, None])) < 6


def share(path: Path, **options) -> float:
    """Foreground of a mask sequence."""
    return float(np.mean([mask >= 128 for mask in iter_masks(path, **options)]))


def saved(path: Path, image: Image.Image, **options) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize(
    ("case", "wanted"),
    [
        ("06_cutout_masks", 0.094),
        ("07_white_first_palette", 0.419),
        ("08_void", 0.094),
        ("09_animated_mask.webp", 0.094),
    ],
)
def test_masks_as_they_were_meant(case, wanted):
    assert share(CASES / case) == pytest.approx(wanted, abs=0.004)
    assert count_masks(CASES / case) == len(list(iter_masks(CASES / case)))


def test_an_orientation_is_heeded_in_frames_and_masks(tmp_path):
    assert read_frame(CASES / "03_orientation_6.jpg").shape == (64, 96, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned a quarter clockwise
    path = saved(tmp_path / "m.png", Image.fromarray(np.uint8(DISK * 255)), exif=exif)
    np.testing.assert_array_equal(next(iter(iter_masks(path))) > 127, np.rot90(DISK, -1))


def test_what_is_transparent_shows_white():
    frame = read_frame(CASES / "04_transparent_first_frame.png")
    alpha = np.asarray(Image.open(CASES / "04_transparent_first_frame.png").convert("RGBA"))[..., 3]
    assert (frame[alpha == 0] == 255).all()


def test_sixteen_bits_are_brought_to_eight(tmp_path):
    assert read_frame(CASES / "05_grey_16_bit.png").mean() == pytest.approx(123.8, abs=0.1)
    for top in (1, 255, 65535):  # a mask of sixteen bits may count 0 and 1, too
        assert share(saved(tmp_path / f"{top}.png", Image.fromarray(np.uint16(DISK * top)))) == DISK.mean()


def test_an_empty_frame_of_cut_out_masks_is_empty(tmp_path):
    for index, alpha in enumerate((DISK, np.zeros_like(DISK))):
        pixels = np.full((*DISK.shape, 4), 200, np.uint8)
        pixels[..., 3] = alpha * 255
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
    assert share(tmp_path) == DISK.mean() / 2


def test_brightness_and_alpha_that_contradict_are_refused(tmp_path):
    pixels = np.zeros((*DISK.shape, 4), np.uint8)
    pixels[..., :3], pixels[..., 3] = DISK[..., None] * 255, ~DISK * 255
    with pytest.raises(UserError, match=r"two masks that differ, its brightness and its alpha channel"):
        share(saved(tmp_path / "m.png", Image.fromarray(pixels)))


def indexed(path: Path) -> Path:
    """Two objects as DAVIS numbers them."""
    image = Image.fromarray(np.uint8(DISK) + 2 * np.uint8(np.roll(DISK, 12, 1) & ~DISK), mode="P")
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    return saved(path, image)


def test_one_object_of_several(tmp_path):
    path = indexed(tmp_path / "m.png")
    both = np.stack([DISK, np.roll(DISK, 12, 1) & ~DISK])
    np.savez(tmp_path / "m.npz", masks=both[None])
    runs = [[{"size": [24, 32], "counts": lengths(mask)} for mask in both]]
    (tmp_path / "m.json").write_text(json.dumps(runs))
    for source in (path, tmp_path / "m.npz", tmp_path / "m.json"):
        assert share(source) == pytest.approx(both.any(0).mean())
        assert share(source, objects=[2]) == both[1].mean()
    with pytest.raises(UserError, match=r"m\.npz holds objects 1 to 2; it has no object 3"):
        share(tmp_path / "m.npz", objects=[3])
    with pytest.raises(UserError, match="holds one mask, and no numbered objects"):
        share(saved(tmp_path / "g.png", Image.fromarray(np.uint8(DISK * 255))), objects=[1])


def lengths(mask: np.ndarray) -> list[int]:
    """Run lengths down the columns, background first."""
    flat = np.concatenate([[0], mask.T.reshape(-1), [0]]).astype(int)
    edges = np.flatnonzero(np.diff(flat))
    return np.diff([0, *edges, mask.size]).tolist()


def test_run_lengths_compressed_as_coco_does(tmp_path):
    # what pycocotools 2.0.11 makes of the disk
    for counts in (lengths(DISK), "a87`02N2O000000000001N2NX7"):
        (tmp_path / "m.json").write_text(json.dumps([{"size": [24, 32], "counts": counts}]))
        np.testing.assert_array_equal(next(iter(iter_masks(tmp_path / "m.json"))) > 0, DISK)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{}", "expected a list"),
        ("[]", "expected a list"),
        ("[" * 100_000, "nested more than"),
        ('[{"size": [24, 32]}]', "neither a list nor a text"),
        ('[{"size": [24, -1], "counts": [1]}]', "expected"),
        ('[{"size": [100000, 100000], "counts": [1]}]', "pixels"),
        ('[{"size": [4, 4], "counts": [1, 1]}]', "do not fill"),
        ('[{"size": [4, 4], "counts": [-1, 17]}]', "no run lengths"),
        ('[{"size": [4, 4], "counts": "\\ud800"}]', "not valid JSON"),
    ],
)
def test_run_lengths_that_are_none(tmp_path, content, words):
    (tmp_path / "m.json").write_text(content)
    with pytest.raises(UserError, match=rf"m\.json.*{words}"):
        share(tmp_path / "m.json")


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_pages_and_bare_arrays(tmp_path, suffix):
    masks = np.stack([np.uint8(np.roll(DISK, i) * 255) for i in range(3)])
    if suffix == ".npy":
        np.save(tmp_path / "m.npy", masks)
    else:
        first, *others = (Image.fromarray(mask) for mask in masks)
        first.save(tmp_path / "m.tif", save_all=True, append_images=others)
    np.testing.assert_array_equal(np.stack(list(iter_masks(tmp_path / f"m{suffix}"))), masks)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array([["a"]]), "holds <U1"),
        (np.ones((2, 4, 4), complex), "holds complex128"),
        (np.zeros((2, 4, 4), [("a", int)]), "holds "),
        (np.array(1.0), r"shape \(\)"),
        (np.zeros((0, 4, 4)), r"shape \(0, 4, 4\)"),
        (np.zeros((2, 4, 4), "M8[s]"), "holds datetime64"),
        (np.full((2, 4, 4), np.inf), "from inf to inf"),
        (np.full((2, 4, 4), 2**40), "expected 0 to 1"),
        (np.asfortranarray(np.ones((2, 4, 4), np.uint8)), "Fortran order"),
    ],
)
def test_arrays_that_mean_nothing(tmp_path, array, words):
    np.save(tmp_path / "m.npy", array)
    with pytest.raises(UserError, match=rf"m\.npy.*{words}"):
        share(tmp_path / "m.npy")


def bomb(path: Path, shape: tuple[int, ...]) -> Path:
    """An npz whose header claims any size."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("masks.npy", header.getvalue() + bytes(1 << 20))
    return path


def test_what_a_header_claims_is_looked_at_before_it_is_read(tmp_path):
    with pytest.raises(UserError, match=r"has shape \(100000, 1000, 1000\), 93.1 GiB; at most 16 GiB"):
        share(bomb(tmp_path / "m.npz", (100_000, 1000, 1000)))
    with pytest.raises(UserError, match=r"256 MiB a frame"):
        share(bomb(tmp_path / "m.npz", (1, 100_000, 100_000)))
    with pytest.raises(UserError, match="it ends in frame 1 of 4"):
        share(bomb(tmp_path / "m.npz", (4, 1024, 1000)))


def test_a_picture_of_too_many_pixels_is_refused_and_one_of_8k_is_not(tmp_path):
    large = saved(tmp_path / "l.png", Image.new("1", (7680, 4320)))
    assert read_frame(large).shape == (4320, 7680, 3)
    with pytest.raises(UserError, match=r"b\.png: it has more than 89478485 pixels"):
        read_frame(saved(tmp_path / "b.png", Image.new("1", (20_000, 5_000))))
    with pytest.raises(UserError, match=r"c\.png: it has more than"):
        read_frame(saved(tmp_path / "c.png", Image.new("1", (20_000, 20_000))))


def shortened(content: bytes, keep: float) -> bytes:
    """A PNG whose data unpack to a share of what they should, and which is whole otherwise."""
    before, rest = content.split(b"IDAT", 1)
    (length,) = struct.unpack(">I", before[-4:])
    pixels = zlib.decompress(rest[:length])
    data = zlib.compress(pixels[: round(len(pixels) * keep)])
    check = struct.pack(">I", zlib.crc32(b"IDAT" + data))
    return before[:-4] + struct.pack(">I", len(data)) + b"IDAT" + data + check + rest[length + 4 :]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16"])
def test_a_png_without_its_last_rows_is_refused_and_a_whole_one_is_not(mode, tmp_path):
    """Pillow takes black for pixels that are not there."""
    path = tmp_path / "a.png"
    Image.new(mode, (3001, 1999), 1).save(path)  # unpacks to far more than it takes
    assert read_frame(path).shape == (1999, 3001, 3)
    Image.new(mode, (21, 13), 1).save(path)
    path.write_bytes(shortened(path.read_bytes(), 8 / 13))
    with pytest.raises(UserError, match=r"a\.png: 8 of its 13 rows are there"):
        read_frame(path)


def test_pictures_that_are_none(tmp_path):
    whole = saved(tmp_path / "a.png", Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)))
    for count in (0, 8, 40, 500):
        (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:count])
        with pytest.raises(UserError, match=r"unreadable picture .*cut\.png"):
            read_frame(tmp_path / "cut.png")
    text = PngImagePlugin.PngInfo()
    text.add_text("a", "b" * 10_000_000, zip=True)
    with pytest.raises(UserError, match=r"unreadable picture .*long\.png"):
        read_frame(saved(tmp_path / "long.png", Image.new("L", (4, 4)), pnginfo=text))
    with pytest.raises(UserError, match=r"moves: it holds several pictures"):
        list(iter_frames(CASES / "09_animated_mask.webp"))


def test_masks_of_film_size_take_no_more_memory_than_a_few_frames(tmp_path):
    masks = np.zeros((24, 2160, 3840), np.uint8)  # 190 MB
    masks[:, 500:900, 500:900] = 255
    np.savez_compressed(tmp_path / "m.npz", masks=masks)
    program = (
        "import resource, sys; from pathlib import Path; from maskvid.media.times import evenly;"
        "from maskvid.masks.video import read_masks; before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "read_masks(Path(sys.argv[1]), evenly(24, 8), 320, 512, mask_fps=8);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "m.npz"], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 120_000  # KiB
