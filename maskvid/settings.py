"""Settings of the module, as conf/ names them and as a run keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from maskvid.bounds import FRAMES, MUST_BE_SET, PIXELS, RATE, SAMPLES, SEEDS, STEPS, bounded, check_bounds
from maskvid.errors import UserError

NOISES = ("independent", "preserve", "lamp")
STARTS = ("noise", "inversion", "drift")
OPTIMISERS = ("muon", "adamw")
KINDS = ("dilate", "erode", "shift", "drop", "boxes")
"""Ways in which masks are imprecise, see `maskvid.masks.perturb`."""
STRENGTHS = 5
ROUGHNESS = {"exact": None, "soft": 0.0, "drawn": 0.4, "rough": 0.6, "box": 1.0}
"""How rough masks of each `mask_precision` are taken to be, from the best on; None: not at all, they are read as exact
ones."""
FIRST_FRAMES = ("given", "text_to_image", "controlnet")
PICTURES = ("filled", "edge", "scribble")
"""How a ControlNet is shown a mask, see `maskvid.model.control`."""
PREDICTIONS = ("epsilon", "v_prediction")
LEVELS = 1000
"""Noise levels of every schedule of Stable Diffusion's class: no scheduler takes more steps."""
MAX_FOREGROUND = 0.8
"""Mean foreground share above which a mask is taken for inverted."""
FOLDER_FPS = 24.0
"""Of film, and of DAVIS: the rate of a folder of pictures that does not say."""
ON_REJECT = ("error", "skip")
FOREGROUNDS = ("sam2", "rembg", "grabcut", "embedded")
"""What finds the foreground of raw clips, see `maskvid.footage.finders`."""


@dataclass(kw_only=True)
class Requirements:
    """What a clip must satisfy, and the windows taken from it.

    Attributes:
        height: Rows of the pictures in pixels.
        width: Columns of the pictures in pixels.
        num_frames: Frames in a window.
        fps: Its frames a second. A clip of any other rate is resampled: at each time the frame is taken that a viewer
            sees. Videos are written at this rate, too, so that they play as fast as the clips do.
        folder_fps: Frames a second of clips that are folders of pictures, unless metadata give their `fps`.
        max_foreground: Mean foreground share above which a mask is taken for inverted; 1 switches that test off.
    """

    height: int = bounded(low=1, high=PIXELS)
    width: int = bounded(low=1, high=PIXELS)
    num_frames: int = bounded(low=1, high=FRAMES)
    fps: float = bounded(above=0, high=RATE)
    folder_fps: float = bounded(FOLDER_FPS, above=0, high=RATE)
    max_foreground: float = bounded(MAX_FOREGROUND, above=0, high=1)

    def __post_init__(self) -> None:
        """Refuse what no clip can be."""
        check_bounds(self, "data.")

    @property
    def seconds(self) -> float:
        """From the first frame of a window to its last."""
        return (self.num_frames - 1) / self.fps


@dataclass(kw_only=True)
class Clips(Requirements):
    """The clips of a run, but for where they lie.

    Attributes:
        cache_dir: Folder for latents and text embeddings.
        limit_training: Use only the first so many training clips; null uses all.
        limit_validation: Use only the first so many clips of each validation set; null uses all.
        on_reject: What to do about clips that do not pass the check: `error`, or `skip` with a warning.
    """

    cache_dir: str = bounded(".cache/maskvid", text=True)
    limit_training: int | None = bounded(None, low=1)
    limit_validation: int | None = bounded(None, low=1)
    on_reject: str = bounded("error", choices=ON_REJECT)


@dataclass(kw_only=True)
class Data(Clips):
    """The clips of a training, and how windows are drawn from them.

    Attributes:
        train: Folder or folders of training triples; `assets://...` lies inside the package.
        validation: Folder by name of the validation set; for `maskvid.train` also a folder, in place of all
            others.
        batch_size: Training windows per process and micro-batch.
        num_workers: Worker processes per loader.
        prompt_dropout: Share of training windows that get the empty prompt.
        zoom: Share of training windows that show the foreground 1.25 to 2.25 times as large, cut from the clips' own
            pixels: a body may then be larger in a video than in the clips.
        box_masks: Share of training windows whose masks are reduced to a sliding box: what moves inside is then learnt
            from the caption, as where several motions are to be told apart by it.
        flip: Mirror half of the training windows. Off by default: it changes the direction of motion.
        dry_run: The run only lists every clip with its verdict.
        seed: What is drawn is a function of this and the position.
    """

    train: Any = None
    validation: Any = None
    batch_size: int = bounded(1, low=1, high=2**12)
    num_workers: int = bounded(0, low=0, high=2**8)
    prompt_dropout: float = bounded(0.1, low=0, high=1)
    zoom: float = bounded(0.25, low=0, high=1)
    box_masks: float = bounded(0.0, low=0, high=1)
    flip: bool = False
    dry_run: bool = False
    seed: int = bounded(0, low=0, high=SEEDS)

    def __post_init__(self) -> None:
        """Refuse what no training can do.

        Raises:
            UserError: A value is out of range, or a folder is no path.
        """
        super().__post_init__()

        def is_folder(place: object) -> bool:
            return isinstance(place, (str, Path)) and bool(str(place).strip())

        folders = self.train if isinstance(self.train, list) else [] if self.train is None else [self.train]
        if self.train == [] or not all(is_folder(folder) for folder in folders):
            raise UserError(f"data.train={self.train}: give a folder of triples, or a list of several.")
        sets = {} if self.validation is None else self.validation
        if not isinstance(sets, dict) or not all(is_folder(place) for place in sets.values()):
            raise UserError(f"data.validation={sets}: give {{name: folder, ...}}, or null for none.")
        if "train" in sets:
            raise UserError("data.validation names a set 'train'; that name is the training set's, choose another.")


@dataclass
class BackboneConfig:
    """Arguments of `maskvid.model.Backbone`."""

    path: str = bounded(MUST_BE_SET, text=True)
    config: str | None = None
    prediction_type: str | None = bounded(None, choices=PREDICTIONS)
    dtype: str = "float32"
    variant: str | None = None
    lora: str | None = None
    lora_scale: float = 1.0
    controlnet: str | None = None
    control_picture: str = bounded("filled", choices=PICTURES)
    controlnet_scale: float = bounded(1.0, low=0)
    safety_checker: bool = True


@dataclass
class BackbonePreset(BackboneConfig):
    """A backbone with every number that depends on it, which the other settings take unless they are given.

    Attributes:
        height: Rows of the pictures in pixels.
        width: Columns.
        num_frames: Frames of a window.
        fps: Its frames a second.
        batch_size: Windows per process and micro-batch.
        rank: Of what is trained, see `maskvid.model.InflatedUNet`; null trains whole copies of projections.
        precision: Of the arithmetic, by Lightning's name.
        gradient_checkpointing: Whether time is traded for memory in training.
        learning_rate: Of temporal layers and attention.
        mask_learning_rate: Of the mask's and first frame's inputs, gates and strengths.
        max_steps: Optimiser steps of a few-shot tuning.
        num_inference_steps: Denoising steps.
        guidance_scale: Classifier-free guidance of videos.
        mask_scale: Guidance of the masks, see `Sampling`.
        first_frame_guidance_scale: The same of painted first frames.
        clip: Judge of text alignment: open_clip model name or folder; null is the embedded miniature.
        clip_weights: open_clip's name of its weights, or a file.
        segmenter: Judge of masks: folder or hub id of SAM 2; null is the embedded miniature.
    """

    height: int = bounded(320, low=1, high=PIXELS)
    width: int = bounded(512, low=1, high=PIXELS)
    num_frames: int = bounded(16, low=1, high=FRAMES)
    fps: float = bounded(8.0, above=0, high=RATE)
    batch_size: int = bounded(1, low=1, high=2**12)
    rank: int | None = bounded(16, low=1, high=2**10)
    precision: str = "bf16-mixed"
    gradient_checkpointing: bool = False
    learning_rate: float = bounded(5e-4, low=0, high=1e3)
    mask_learning_rate: float = bounded(1e-3, low=0, high=1e3)
    max_steps: int = bounded(1000, low=0, high=STEPS)
    num_inference_steps: int = bounded(25, low=1, high=LEVELS)
    guidance_scale: float = bounded(7.5, low=0)
    mask_scale: float = bounded(1.0, low=0)
    first_frame_guidance_scale: float = bounded(4.0, low=0)
    clip: str | None = None
    clip_weights: str | None = None
    segmenter: str | None = None

    @property
    def loading(self) -> BackboneConfig:
        """What is needed to load it, which is what a run keeps."""
        return BackboneConfig(**{entry.name: getattr(self, entry.name) for entry in fields(BackboneConfig)})


MINIATURE = 4 * 64 * 96
"""Pixels of a picture that the embedded judges still know: four times those of their own."""


@dataclass(kw_only=True)
class Judges:
    """Who judges a run's videos, see `maskvid.judges.panel.MetricEncoders`; null is the embedded miniature.

    Attributes:
        clip: open_clip model name, hub id or folder.
        pretrained: open_clip's name of its weights, or a file.
        segmenter: Folder, or folder or hub id of SAM 2.
        dino: Folder or hub id of a vision transformer; null measures no subject consistency.
    """

    clip: str | None = None
    pretrained: str | None = None
    segmenter: str | None = None
    dino: str | None = None

    def instead(self, given: Mapping[str, Any]) -> Judges:
        """Those that a request names, where it names some; of another CLIP these weights are none."""
        named = {key: value for key, value in given.items() if value is not None}
        kept = replace(self, pretrained=None) if "clip" in named else self
        return replace(kept, **named)


@dataclass(kw_only=True)
class Noise:
    """Where the noise of a clip's frames comes from.

    Attributes:
        mode: How frames share it: `independent`, `preserve` or `lamp`, see `shared_noise`.
        alpha: How much they share, in [0, 1].
        sampling_mode: The mode in sampling where it is another than in training; null is the same.
        sampling_alpha: How much frames share in sampling; null is the same as in training. What they share cannot
            flicker: with `preserve` 0.9 backgrounds stand still and the foreground moves as before.
        brought: How strongly the noise that sampling starts from shows the first frame brought to each mask, beside a
            noise of deviation 1: what tuning leaves of a picture in the noisiest latents, and more, so that neither a
            coat nor a ground is made up anew. See `maskvid.model.registration`. A `mask_scale` below 1 makes it less.
        start: What sampling starts from: `noise`; `inversion`, the inverted noise of one of the training clips
            (Tune-A-Video); or `drift`, the first picture's, shifted from frame to frame (Text2Video-Zero).
    """

    mode: str = bounded("preserve", choices=NOISES)
    alpha: float = bounded(0.2, low=0, high=1)
    sampling_mode: str | None = bounded(None, choices=NOISES)
    sampling_alpha: float | None = bounded(None, low=0, high=1)
    brought: float = bounded(0.0, low=0, high=10)
    start: str = bounded("noise", choices=STARTS)

    def __post_init__(self) -> None:
        """Refuse what no noise knows."""
        check_bounds(self, "method.noise.")


@dataclass(kw_only=True)
class Optim:
    """The optimiser, with a linear warm-up and a linear decay over the last part of training.

    Attributes:
        name: `muon` moves a matrix or kernel in all directions alike (orthogonalised momentum, as large as AdamW's
            step, arXiv 2502.16982), and what is none by AdamW with Nesterov's momentum; `adamw` is AdamW for all. The
            horse follows its masks as well after a quarter of AdamW's steps (experiments/horse).
        learning_rate: Of temporal layers and attention.
        mask_learning_rate: Of the mask's and first frame's inputs, of what the words feed, and of the attentions'
            strengths and gates.
        weight_decay: Decoupled, of the weight matrices and kernels of new layers alone: see `maskvid.model.roles`.
        warmup_steps: Optimiser steps until the full rate.
        decay_from: Share of training after which the rate falls to zero.
    """

    name: str = bounded("muon", choices=OPTIMISERS)
    learning_rate: float = bounded(3e-4, low=0, high=1e3)
    mask_learning_rate: float = bounded(3e-3, low=0, high=1e3)
    weight_decay: float = bounded(1e-2, low=0)
    warmup_steps: int = bounded(20, low=0, high=STEPS)
    decay_from: float = bounded(0.5, low=0, high=1)

    def __post_init__(self) -> None:
        """Refuse what no optimiser can do."""
        check_bounds(self, "optim.")


@dataclass(kw_only=True)
class Sampling:
    """How videos are sampled.

    Attributes:
        num_inference_steps: Denoising steps.
        guidance_scale: Classifier-free guidance; 1 is off.
        mask_scale: The same of the masks: below 1 the foreground is freer, above it keeps to them more closely; 0
            leaves them out where `guidance_scale` is 1. See experiments/low_rank.
        adain_fraction: Share of the last steps in which frames take the first frame's statistics, foreground and
            background apart where masks are used; 0 is off.
        first_frame: `given` (the clip's own), `text_to_image` (painted by the 2-D backbone from the prompt) or
            `controlnet` (painted, led by the first mask; needs `backbone.controlnet`).
        first_frame_guidance_scale: Classifier-free guidance of that picture; it needs more than a video does.
        samples: Videos of each validation clip, with seeds that follow each other; two or more are measured for
            diversity.
        mask_precision: How far masks are to be believed: `exact` to the pixel; `drawn`, `rough` and `box` ever less,
            read by the encoders that `method.rough_masks` tunes; `soft` masks say by their values how sure they are.
        perturb: Kind of imprecision given to the masks of validation clips, see `maskvid.masks.perturb`; the videos are
            scored by the exact ones. Null leaves them exact.
        perturb_strength: 0 to 5.
    """

    num_inference_steps: int = bounded(25, low=1, high=LEVELS)
    guidance_scale: float = bounded(7.5, low=0)
    mask_scale: float = bounded(1.0, low=0)
    adain_fraction: float = bounded(0.0, low=0, high=1)
    first_frame: str = bounded("given", choices=FIRST_FRAMES)
    first_frame_guidance_scale: float = bounded(4.0, low=0)
    samples: int = bounded(1, low=1, high=SAMPLES)
    mask_precision: str = bounded("exact", choices=tuple(ROUGHNESS))
    perturb: str | None = bounded(None, choices=KINDS)
    perturb_strength: int = bounded(0, low=0, high=STRENGTHS)

    def __post_init__(self) -> None:
        """Refuse what no sampling knows."""
        check_bounds(self, "sampling.")
        if self.perturb is None and self.perturb_strength:
            raise UserError(
                f"sampling.perturb_strength={self.perturb_strength} says how imprecise masks are, and none are; give "
                "sampling.perturb as well."
            )
