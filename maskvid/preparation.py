"""How raw clips become triples: what `maskvid.prepare` is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from maskvid.bounds import FRAMES, PIXELS, RATE, bounded, check_bounds
from maskvid.errors import UserError
from maskvid.settings import FOLDER_FPS, FOREGROUNDS, MAX_FOREGROUND


@dataclass(kw_only=True)
class Preparation:
    """How raw clips become triples.

    Attributes:
        subject: Words that name the foreground, such as `the horse`. They stand in brackets in every caption; with
            `foreground=sam2` the detector looks for them.
        foreground: What finds it. `sam2` follows what a detector finds by the `subject`, or what `box` or `points`
            show; `rembg` takes what is salient in each picture; `grabcut` cuts out what the `box` shows and follows it
            by optical flow, without any download; `embedded` knows only animals that this project rendered.
        model: Hub id or local folder of SAM 2, or for rembg the name of its model or a local .onnx file; null takes
            facebook/sam2.1-hiera-small and u2net.
        detector: Hub id or local folder of an open-vocabulary detector (Grounding DINO, OWLv2).
        box: Left, top, right and bottom of the foreground in the first frame of each shot, as shares of the clip's
            picture, or in its pixels where one is above 1.
        points: On the foreground in the first frame of each shot, [[x, y], ...], counted as the box is; [x, y, 0] is on
            the background.
        num_frames: Frames of a window.
        fps: Its frames a second; clips are resampled in time.
        height: Rows of what is written, cut from the middle; null keeps the clip's own proportions.
        width: Columns, with `height`.
        largest_side: Pixels of what keeps its proportions, and of the pictures that the foreground is looked for in;
            nothing is enlarged to it.
        folder_fps: Frames a second of clips that are folders of pictures.
        cut_threshold: How many times a frame must differ more than those around it for a cut; null looks for none.
        caption: Of every window, the subject in brackets; null makes `[subject]`, or asks the captioner.
        captioner: Hub id or local folder of a captioner of BLIP's class, such as
            Salesforce/blip-image-captioning-base; null asks none.
        max_foreground: Mean share of the picture above which masks are taken for inverted; 1 switches that test off.
    """

    subject: str | None = bounded(None, text=True)
    foreground: str = bounded("sam2", choices=FOREGROUNDS)
    model: str | None = bounded(None, text=True)
    detector: str = bounded("IDEA-Research/grounding-dino-tiny", text=True)
    box: list[float] | None = bounded(None, low=0, high=PIXELS)
    points: list[list[float]] | None = None
    num_frames: int = bounded(16, low=2, high=FRAMES)
    fps: float = bounded(8.0, above=0, high=RATE)
    height: int | None = bounded(None, low=16, high=PIXELS)
    width: int | None = bounded(None, low=16, high=PIXELS)
    largest_side: int = bounded(640, low=16, high=PIXELS)
    folder_fps: float = bounded(FOLDER_FPS, above=0, high=RATE)
    cut_threshold: float | None = bounded(3.0, above=1, high=255)
    caption: str | None = bounded(None, text=True)
    captioner: str | None = bounded(None, text=True)
    max_foreground: float = bounded(MAX_FOREGROUND, above=0, high=1)

    def __post_init__(self) -> None:
        """Refuse what cannot be prepared, or would not be looked at.

        Raises:
            UserError: Names the setting.
        """
        check_bounds(self)
        if (self.height is None) != (self.width is None):
            raise UserError(f"height={self.height} width={self.width}: give both, or neither.")
        if self.subject is None and self.caption is None:
            raise UserError("subject must be set: the words that name the foreground, subject='the horse'.")
        if self.box is not None and not (
            len(self.box) == 4 and self.box[0] < self.box[2] and self.box[1] < self.box[3]
        ):
            raise UserError(f"box={self.box}: give [left, top, right, bottom], the left below the right.")
        for point in self.points or []:
            if len(point) not in (2, 3) or not all(0 <= number <= PIXELS for number in point) or point[2:] not in (
                [], [0], [1]
            ):  # fmt: skip
                raise UserError(f"points={self.points}: give [[x, y], ...], and [x, y, 0] for the background.")
        if self.points == []:
            raise UserError("points=[]: give at least one, [[x, y]].")
        if self.foreground == "grabcut" and self.box is None:
            raise UserError(
                "foreground=grabcut cuts out what a box shows: give box=[left,top,right,bottom], as shares of the "
                "picture, 0 to 1, in the first frame of each shot."
            )
        if self.foreground == "sam2" and self.subject is None and self.box is None and self.points is None:
            raise UserError("foreground=sam2 must be shown the foreground: give subject='the horse', a box or points.")
        self._refuse_unseen()

    def _refuse_unseen(self) -> None:
        seen = {
            "box": ("sam2", "grabcut"), "points": ("sam2",), "model": ("sam2", "rembg"), "detector": ("sam2",)
        }  # fmt: skip
        for name, kinds in seen.items():
            default = type(self).__dataclass_fields__[name].default
            if self.foreground not in kinds and getattr(self, name) != default:
                raise UserError(
                    f"{name}={getattr(self, name)}: it has no effect with foreground={self.foreground}; leave it out."
                )
        shown = self.box is not None or self.points is not None
        if shown and self.detector != type(self).__dataclass_fields__["detector"].default:
            raise UserError(f"detector={self.detector}: it has no effect where box or points are given; leave one out.")
        if self.caption is not None and self.captioner is not None:
            raise UserError(f"captioner={self.captioner}: it has no effect where caption is given; leave one out.")
