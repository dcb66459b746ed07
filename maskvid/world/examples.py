"""The shipped horse examples: which clips there are. Seeds of the three sets never meet.

`train` tunes; `validation` is looked at while tuning and chooses settings; `test` is for the figures one reports.
Each of the latter two holds `horse` (new clips of what was trained), `unseen` (other animals, coats and grounds) and
`motion` (movements that no training clip shows). `motions` holds three motions, a folder each, whose captions say
which: one adapter can learn them all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from maskvid.world import captions
from maskvid.world.clips import HEIGHT, WIDTH, Clip, render_clip


@dataclass(frozen=True)
class Row:
    """One clip: what it shows and which way the animal sets out."""

    species: str
    coat: str
    ground: str
    time: str
    gait: str
    rightward: bool
    movement: str = "cross"
    style: str = "photo"


def _row(text: str) -> Row:
    """Read "species coat ground time gait right|left [movement] [style...]"."""
    species, coat, ground, time, gait, side, *rest = text.split()
    return Row(
        species, coat, ground, time, gait, side == "right", rest[0] if rest else "cross", " ".join(rest[1:]) or "photo"
    )


_TRAIN = """
horse brown meadow day gallop right
horse white desert day gallop left
horse black snow day trot right
horse golden beach sunset gallop left
horse grey meadow sunset gallop right
horse brown beach day trot left
horse black road day gallop left
horse white meadow night gallop right
horse golden snow day gallop right
horse grey desert night trot left
horse brown road sunset gallop left
horse white beach day trot right
"""
_VALIDATION_HORSE = """
horse brown snow day gallop right
horse black meadow day gallop left
horse white road sunset trot right
horse grey beach day gallop left
horse golden meadow night gallop right
horse brown desert sunset trot left
horse black beach sunset gallop right
horse grey road day gallop left
"""
_TEST_HORSE = """
horse brown beach day gallop left
horse black desert sunset gallop right
horse white snow day trot left
horse grey meadow day gallop right
horse golden road day gallop left
horse brown meadow night trot right
horse white desert sunset gallop right
horse golden beach day gallop left
"""
_VALIDATION_UNSEEN = """
zebra striped meadow day gallop right
cow spotted snow day trot left
dog golden beach day gallop right
giraffe patchy desert sunset trot left
elephant grey meadow day trot right
dog black road sunset gallop left
cow brown meadow day gallop right cross pop art painting
zebra striped desert night trot left cross watercolor painting
"""
_TEST_UNSEEN = """
zebra striped beach sunset gallop left
cow white meadow day gallop right
dog white desert day gallop left
giraffe patchy meadow day gallop right
elephant brown snow day trot left
dog brown meadow night trot right
cow black beach day trot left cross crayon drawing
zebra striped road day gallop right cross pop art painting
"""
_VALIDATION_MOTION = """
horse brown meadow day gallop right stop
horse white desert sunset gallop left stop
horse black beach day trot right turn
horse golden snow day trot left turn
horse grey meadow day gallop left jump
horse brown desert day gallop right jump
horse black road day gallop right grow
horse white meadow night gallop left shrink
"""
_TEST_MOTION = """
horse golden road day gallop left stop
horse grey beach sunset gallop right stop
horse white meadow day trot left turn
horse brown snow night trot right turn
horse black meadow day gallop right jump
horse golden desert sunset gallop left jump
horse brown beach day gallop left grow
horse grey desert day gallop right shrink
"""
_MOTIONS = {
    "gallop": """
horse brown meadow day gallop right
horse white desert day gallop left
horse black snow sunset gallop right
horse golden beach day gallop left
""",
    "walk": """
horse brown desert day walk left
horse white meadow sunset walk right
horse black beach day walk left
horse golden snow day walk right
""",
    "turn": """
horse brown snow day trot right turn
horse white beach day trot left turn
horse black meadow day trot left turn
horse golden desert sunset trot right turn
""",
}
_MOTIONS_TEST = {
    "gallop": """
horse grey road day gallop right
horse brown beach sunset gallop left
horse black meadow day gallop left
horse white snow day gallop right
""",
    "walk": """
horse grey meadow day walk left
horse brown snow sunset walk right
horse black desert day walk right
horse white road day walk left
""",
    "turn": """
horse grey beach day trot right turn
horse brown road sunset trot left turn
horse black snow day trot right turn
horse white meadow day trot left turn
""",
}
_SAYS = {"gallop": "gallops", "walk": "walks", "turn": "turns back"}

FOLDERS: dict[str, tuple[Row, ...]] = {
    name: tuple(_row(line) for line in text.strip().splitlines())
    for name, text in {
        "train": _TRAIN,
        "validation/horse": _VALIDATION_HORSE,
        "validation/unseen": _VALIDATION_UNSEEN,
        "validation/motion": _VALIDATION_MOTION,
        "test/horse": _TEST_HORSE,
        "test/unseen": _TEST_UNSEEN,
        "test/motion": _TEST_MOTION,
        **{f"motions/{name}": text for name, text in _MOTIONS.items()},
        **{f"motions/test/{name}": text for name, text in _MOTIONS_TEST.items()},
    }.items()
}


def clip_of(folder: str, index: int, row: Row) -> Clip:
    """Render clip number `index` of `folder`; its seed is its place among all examples."""
    seed = 1000 * (1 + list(FOLDERS).index(folder)) + index
    attributes = {key: getattr(row, key) for key in ("species", "coat", "ground", "time", "style", "gait")}
    motion = folder.rpartition("/")[2] if folder.startswith("motions/") else None
    kind = motion or (row.species if row.movement == "cross" else row.movement)
    clip = render_clip(
        attributes=attributes, seed=seed, movement=row.movement, rightward=row.rightward, name=f"{kind}-{index:03d}",
        height=HEIGHT, width=WIDTH,
    )  # fmt: skip
    if motion is None:
        return clip
    # Few clips have to teach which word means which motion, so each motion has one word.
    place = captions.zero_shot("ground", row.ground)[0].removeprefix("a photo of a horse ")
    # The verb belongs to what the mask's words are: it is the foreground that moves so.
    subject = f"{clip.subject} {_SAYS[motion]}"
    return replace(clip, caption=f"{subject} {place}", subject=subject)
