"""What a person is told of a video that was made: how far it follows its masks and its prompt, by the run's judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from maskvid.clip import Sample
from maskvid.config import plain
from maskvid.entry import print_warning, refuse_given
from maskvid.errors import UserError
from maskvid.files import atomic_write, json_text
from maskvid.hub import fetched
from maskvid.json_reading import read_mapping
from maskvid.judges.panel import MetricEncoders
from maskvid.masks.perturb import boxes
from maskvid.media.strips import sample_sheet
from maskvid.media.writing import viewable_scale, write_png, write_sidecars
from maskvid.metrics.following import Followed, Following
from maskvid.pipeline import MaskVidPipeline
from maskvid.printing import print_whole
from maskvid.settings import MINIATURE, Judges

LITTLE = 0.3
"""Mean mask IoU below which either the video does not follow, or the segmenter does not know what it is shown."""
FILES = ("config.json", "open_clip_config.json", "open_clip_model.safetensors", "open_clip_pytorch_model.bin")
"""Of a judge in the hub's cache, one of these."""
OTHERS = "name others by metrics.segmenter=... and metrics.clip=..., or do without figures by judge=false"


class Judge:
    """The judges of a request.

    Args:
        names: Who they are.
        device: Where they look.
        height: Rows of the videos.
        width: Columns.

    Raises:
        UserError: They cannot be loaded, or cannot judge pictures of that size.
    """

    def __init__(self, names: Judges, device: torch.device, height: int, width: int) -> None:
        if height * width > MINIATURE and (names.segmenter is None or names.clip is None):
            raise UserError(
                f"the embedded judges know pictures of 64 x 96 pixels, and these have {height} x {width}; {OTHERS}."
            )
        self.encoders = MetricEncoders(**asdict(names)).to(device)
        try:
            self.encoders.segmenter, self.encoders.clip  # noqa: B018 - loads them, before anything is made
        except UserError as error:
            raise UserError(f"{error} These are the run's judges; {OTHERS}.") from error

    def following(
        self,
        prompt: str,
        given_frames: int,
        kept: Sequence[int] = (),
        *,
        precision: str = "exact",
        subjects: Sequence[str] = (),
    ) -> Following:
        """Begin to score a video; `kept` are the frames that are shown. Of a box the box of what is found counts."""
        return Following(
            self.encoders, prompt or None, given_frames=given_frames, kept=frozenset(kept),
            shaped=boxes if precision == "box" else None, subjects=subjects,
        )  # fmt: skip


def judge_of(config: DictConfig, pipeline: MaskVidPipeline, height: int, width: int, *, needed: bool) -> Judge | None:
    """The judges that a request asks for: the run's, less what it names others for.

    Args:
        config: Of the request.
        pipeline: Whose run it is.
        height: Rows of the videos.
        width: Columns.
        needed: Whether nothing can be made without them.

    Returns:
        None where none are asked for, or none are to be had and none needed, which is said.

    Raises:
        UserError: They are needed and cannot be had.
    """
    if config.judge is False:
        if needed:
            raise UserError(f"best_of={config.best_of}: the best is found by its figures; leave judge=false out.")
        refuse_given(config, ["metrics"], "with judge=false")
        return None
    names = pipeline.run.judges.instead(plain(config.metrics))
    if config.judge is None and not needed and (absent := not_here(names)):
        print_warning(
            f"no figures: {' and '.join(absent)}, which judge, are not on this machine; judge=true downloads them, "
            "judge=false keeps silent."
        )
        return None
    try:
        return Judge(names, pipeline.device, height, width)
    except UserError as error:
        if needed:
            raise UserError(f"best_of={config.best_of}: {error}") from error
        print_warning(f"no figures: {error}")
        return None


def not_here(names: Judges) -> list[str]:
    """Judges that would be downloaded: hub ids, and names of open_clip, of which the hub's cache holds nothing."""
    asked = [name for name in (names.segmenter, names.dino) if name is not None and not Path(name).exists()]
    hubs = {name: name for name in asked}
    if names.clip is not None and not Path(names.clip).exists():
        from open_clip.pretrained import get_pretrained_cfg  # seconds to import

        known = get_pretrained_cfg(names.clip, names.pretrained) if names.pretrained else {}
        if names.pretrained is None or not Path(names.pretrained).is_file():
            hubs[names.clip] = str(known.get("hf_hub") or names.clip).removeprefix("hf-hub:").strip("/")
    return [name for name, hub in hubs.items() if not fetched(hub, *FILES)]


def done_or_told(following: Following | None) -> Followed | None:
    """What was measured; None where nothing could be, which is said."""
    try:
        return None if following is None else following.done()
    except UserError as error:  # a tracker without a first mask has nothing to follow
        print_warning(f"no figures: {error}")
        return None


def tell(
    path: Path, prompt: str, sample: Sample, shown: Sequence[int], masks: torch.Tensor, *, request: Mapping[str, Any],
    followed: Followed | None, judge: Judge | None, best_of: Sequence[Mapping[str, Any]] | None = None,
) -> None:  # fmt: skip
    """Write what lies beside a video: strip, prompt, masks, and a JSON file of how it was made and how far it follows.

    Args:
        path: Of the video, which is there.
        prompt: With its brackets.
        sample: The frames that the strip shows, with their masks.
        shown: Their numbers.
        masks: (f, 1, h, w), of all frames.
        request: What else it was made from.
        followed: How far it follows, where that was measured.
        judge: By whom.
        best_of: Seeds and figures of all videos that were made, where it is the best of several.
    """
    detected = None
    if followed is not None and set(shown) <= set(followed.detected):
        detected = torch.stack([followed.detected[index] for index in shown])
    heading = "" if followed is None else said(followed)
    write_png(path.with_suffix(".png"), sample_sheet(sample, columns=None, detected=detected, heading=heading))
    write_sidecars(path, prompt, masks, sample.fps)
    count, _, height, width = masks.shape
    scale = viewable_scale(height, width)
    content = {
        "prompt": prompt, **request, "frames": count, "fps": sample.fps, "seconds": count / sample.fps,
        "height": height * scale, "width": width * scale,
    }  # fmt: skip
    if followed is not None and judge is not None:
        content |= {"judges": judge.encoders.describe(), "followed": followed.as_dict()}
    if best_of is not None:
        content["best_of"] = list(best_of)
    with atomic_write(path.with_suffix(".json")) as temporary:
        temporary.write_text(json_text(content))


def said(followed: Followed) -> str:
    """The figures of a video, in a line."""
    words = [f"mask IoU {followed.mean('mask_iou'):.3f}", f"boundary F {followed.mean('boundary_f'):.3f}"]
    if followed.text_alignment is not None:
        words.append(f"text alignment {followed.text_alignment:.1f}")
    return ", ".join(words)


def print_made(paths: Sequence[Path]) -> list[str]:
    """Say where videos are, how long and large they are, and how far they follow.

    Returns:
        What a person should know besides, a sentence each.
    """
    console = Console(soft_wrap=True, highlight=False)
    table = Table(title="how far the videos follow (frame 0, which was given, is not counted)")
    for name in ("video", "seed", "mask IoU", "boundary F", "text alignment"):
        table.add_column(name, justify="left" if name == "video" else "right", no_wrap=True)
    notes = []
    for path in paths:
        made = read_mapping(path.with_suffix(".json"), largest=2**26)
        size = f"{made['frames']} frames, {made['seconds']:.3g} s, {made['width']} x {made['height']}"
        console.print(f"video: {path.resolve()} ({size})\nstrip: {path.with_suffix('.png').resolve()}")
        if (found := made.get("followed")) is None:
            continue
        figures = (f"{found[name]:.3f}" for name in ("mask_iou", "boundary_f"))
        alignment = found.get("text_alignment")
        table.add_row(path.stem, str(made.get("seed", "")), *figures, "" if alignment is None else f"{alignment:.1f}")
        for subject in found.get("subjects", ()):
            itself = subject["looks_like_itself"]
            seen = "is nowhere large enough to be looked at" if itself is None else f"looks like itself in {itself:.0%}"
            console.print(f"  {subject['words']}: mask IoU {subject['mask_iou']:.3f}, {seen}")
        if found["mask_iou"] < LITTLE:
            notes.append(
                f"{path.name}: the segmenter ({made['judges']['segmenter']}) finds little of the foreground where it "
                f"was asked for. Look at the strip: if it is there, the segmenter does not know it; {OTHERS}."
            )
    if table.row_count:
        print_whole(table, console)
    return notes
