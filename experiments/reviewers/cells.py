"""The cells of the reviewers' study: what is tuned, how it is scored, and which question it answers."""

from __future__ import annotations

from dataclasses import dataclass, field

SETS = {name: f"assets://horse/test/{name}" for name in ("horse", "unseen", "motion")}
MOTIONS = ("gallop", "walk", "turn")
CLIPS_OF = "assets://horse/motions/{}"
PARTS = (
    "no_mask_attention",
    "no_mask_cross_attention",
    "mask_input_alone",
    "no_mask_input",
    "no_first_frame_input",
    "no_first_frame_loss",
    "no_shared_noise",
    "no_brought_noise",
    "no_temporal_attention",
    "no_temporal_conv",
)
SHOTS = (1, 2, 4, 8)
BUDGET = ("method.rough_masks=0",)
"""Of every cell: the horse's own, without the stage for rough masks, which changes nothing for exact ones.
A study at another budget begins by deleting scores.csv and runs/reviewers."""
MASK_ATTENTIONS = ("no_mask_attention", "no_mask_cross_attention")


@dataclass(frozen=True)
class Cell:
    """A way of tuning.

    Attributes:
        name: Of its runs.
        overrides: Of `python -m maskvid.train +experiment=horse`.
    """

    name: str
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scoring:
    """A way of sampling and scoring.

    Attributes:
        name: Of its folder.
        overrides: Of `python -m maskvid.evaluate`.
        sets: Folder of each set of clips.
    """

    name: str = "exact"
    overrides: tuple[str, ...] = ()
    sets: dict[str, str] = field(default_factory=lambda: SETS, hash=False)


EXACT = Scoring()
# The clips of all three motions, 12 in all; each of the single adapters knows but one.
EACH_MOTION = Scoring("motions", sets={name: f"assets://horse/motions/test/{name}" for name in MOTIONS})

CELLS = {
    cell.name: cell
    for cell in (
        Cell("whole"),
        Cell("whole_untuned", ("method.trained=false",)),
        Cell("no_mask", ("+ablation=no_mask",)),
        Cell("no_mask_untuned", ("+ablation=no_mask", "method.trained=false")),
        *(Cell(part, (f"+ablation={part}",)) for part in PARTS),
        *(Cell(f"{part}_untuned", (f"+ablation={part}", "method.trained=false")) for part in MASK_ATTENTIONS),
        *(Cell(f"shots-{count}", (f"data.limit_training={count}",)) for count in SHOTS),
        Cell("motions", (f"data.train=[{','.join(map(CLIPS_OF.format, MOTIONS))}]",)),
        *(Cell(name, (f"data.train={CLIPS_OF.format(name)}",)) for name in MOTIONS),
    )
}

Labels = dict[str, object]
QUESTIONS: dict[str, list[tuple[Labels, str, Scoring]]] = {
    "attribution": [
        ({"mask": True, "tuned": True}, "whole", EXACT),
        ({"mask": True, "tuned": False}, "whole_untuned", EXACT),
        ({"mask": False, "tuned": True}, "no_mask", EXACT),
        ({"mask": False, "tuned": False}, "no_mask_untuned", EXACT),
    ],
    "parts": [({"part": name}, name, EXACT) for name in ("whole", *PARTS)],
    "untuned": [({"part": name}, f"{name}_untuned", EXACT) for name in ("whole", *MASK_ATTENTIONS, "no_mask")],
    "shots": [*(({"clips_tuned_on": n}, f"shots-{n}", EXACT) for n in SHOTS), ({"clips_tuned_on": 12}, "whole", EXACT)],
    "motions": [({"tuned_on": name}, name, EACH_MOTION) for name in ("motions", *MOTIONS)],
}
