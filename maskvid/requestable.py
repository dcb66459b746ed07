"""What may be asked of a finished run, or of videos, as conf/ names it: the typed roots of the other programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from maskvid.bounds import FRAMES, MUST_BE_SET, PIXELS, RATE, SAMPLES, SEEDS, STEPS, THREADS, bounded
from maskvid.preparation import Preparation
from maskvid.settings import FIRST_FRAMES, KINDS, LEVELS, PICTURES, PREDICTIONS, ROUGHNESS, STRENGTHS


@dataclass
class BackboneOverrides:
    """Arguments of `maskvid.model.Backbone` that differ from the run's.

    Null takes the run's, an empty value (`backbone.variant=`) none. The adapter fits only the weights it was tuned on,
    wherever they lie now; a ControlNet takes no part in tuning, so that any may be given.

    Attributes:
        fast_lora: A LoRA that makes few steps do (LCM's, TCD's, Hyper-SD's), added for this request alone.
    """

    path: str | None = None
    config: str | None = None
    prediction_type: str | None = bounded(None, choices=PREDICTIONS)
    dtype: str | None = None
    variant: str | None = None
    lora: str | None = None
    lora_scale: float | None = None
    controlnet: str | None = None
    control_picture: str | None = bounded(None, choices=PICTURES)
    controlnet_scale: float | None = bounded(None, low=0)
    safety_checker: bool | None = None
    fast_lora: str | None = None


@dataclass
class DataOverrides:
    """Where things of the run lie now, if not where they lay; null takes the run's.

    Attributes:
        train: Folder or folders of the training clips, read only where `method.noise.start=inversion`.
        cache_dir: Folder for latents and text embeddings.
    """

    train: Any = None
    cache_dir: str | None = None


@dataclass
class JudgeOverrides:
    """Judges in place of the run's, see `maskvid.settings.Judges`; null takes the run's.

    Attributes:
        clip: open_clip model name, hub id or folder.
        pretrained: open_clip's name of its weights, or a file.
        segmenter: Folder, or folder or hub id of SAM 2.
    """

    clip: str | None = bounded(None, text=True)
    pretrained: str | None = bounded(None, text=True)
    segmenter: str | None = bounded(None, text=True)


@dataclass
class EditSampling:
    """Sampling settings that differ from the run's, see `maskvid.settings.Sampling`; null takes the run's."""

    num_inference_steps: int | None = bounded(None, low=1, high=LEVELS)
    guidance_scale: float | None = bounded(None, low=0)
    mask_scale: float | None = bounded(None, low=0)
    mask_precision: str | None = bounded(None, choices=tuple(ROUGHNESS))
    adain_fraction: float | None = bounded(None, low=0, high=1)


@dataclass
class GenerateSampling(EditSampling):
    """Sampling settings that differ from the run's, see `maskvid.settings.Sampling`; null takes the run's."""

    first_frame: str | None = bounded(None, choices=FIRST_FRAMES)
    first_frame_guidance_scale: float | None = bounded(None, low=0)


@dataclass
class EvaluateSampling(GenerateSampling):
    """Sampling settings that differ from the run's, see `maskvid.settings.Sampling`; null takes the run's."""

    samples: int | None = bounded(None, low=1, high=SAMPLES)
    perturb: str | None = bounded(None, choices=KINDS)
    perturb_strength: int | None = bounded(None, low=0, high=STRENGTHS)


@dataclass
class RequestConfig:
    """What `python -m maskvid.generate` and `python -m maskvid.edit` share.

    Attributes:
        run: Run directory of a training, or a list of several, whose adapters mix.
        mix: The share of each run; null shares equally.
        prompt: One prompt or a list; the words in [brackets] name the foreground, or each of several subjects.
        masks: Video, folder of pictures, npz, drawing or one picture; white is foreground. Several subjects have one
            each: numbered objects of one file, or a list of files in the prompt's order.
        num_frames: Null takes the run's.
        height: Null takes the run's.
        width: Null takes the run's.
        mask_fps: Frames a second of the masks; null takes the file's own, and where it does not say, a mask for each
            frame. Videos have as many as the clips the run was tuned on (`data.fps`).
        max_foreground: Mean share of the picture above which masks are taken for inverted, 1 switches that test off;
            null takes the run's.
        out: Folder for the files; null makes `generated` in the run directory.
        overwrite: Whether a video of the same name is replaced; else the new one gets a number.
        backbone: Where the run's backbone lies now, and which ControlNet makes first frames.
        judge: Whether the run's judges say how far each video follows its masks and its prompt; null where they are on
            this machine already, true downloads them.
        metrics: Judges in place of the run's.
        device: Null takes a GPU if there is one.
        threads: Processor threads; null leaves PyTorch's choice.
    """

    run: Any = MUST_BE_SET
    mix: list[float] | None = None
    prompt: Any = MUST_BE_SET
    masks: Any = MUST_BE_SET
    num_frames: int | None = bounded(None, low=1, high=FRAMES)
    height: int | None = bounded(None, low=1, high=PIXELS)
    width: int | None = bounded(None, low=1, high=PIXELS)
    mask_fps: float | None = bounded(None, above=0, high=RATE)
    max_foreground: float | None = bounded(None, above=0, high=1)
    out: str | None = bounded(None, text=True)
    overwrite: bool = False
    backbone: BackboneOverrides = field(default_factory=BackboneOverrides)
    judge: bool | None = None
    metrics: JudgeOverrides = field(default_factory=JudgeOverrides)
    device: str | None = bounded(None, text=True)
    threads: int | None = bounded(None, low=1, high=THREADS)


@dataclass
class SchedulerOverride:
    """What samples in place of the run's scheduler.

    Attributes:
        name: Class of diffusers; null takes the run's.
    """

    name: str | None = None


@dataclass
class GenerateConfig(RequestConfig):
    """Root of `python -m maskvid.generate`; more frames than the run's window are made segment after segment.

    Attributes:
        seed: Same seed, same video.
        best_of: Videos that are made, of this seed and those behind it, of which the best is kept: that of the
            largest product of mask IoU and text alignment.
        sampling: Overrides of the run's sampling settings.
        scheduler: In place of the run's.
        first_frame: Picture to begin from; null paints one from the prompt.
        data: Where the run's training clips lie now.
    """

    seed: int = bounded(0, low=0, high=SEEDS)
    best_of: int = bounded(1, low=1, high=64)
    sampling: GenerateSampling = field(default_factory=GenerateSampling)
    scheduler: SchedulerOverride = field(default_factory=SchedulerOverride)
    first_frame: str | None = bounded(None, text=True)
    data: DataOverrides = field(default_factory=DataOverrides)


@dataclass
class EditConfig(RequestConfig):
    """Root of `python -m maskvid.edit`; nothing is drawn at random, so that there is no seed.

    Attributes:
        source: The clip to edit; `masks` are its own.
        source_fps: Its frames a second; null takes the file's own. A folder of pictures does not say: as many pictures
            as frames are taken one for each.
        source_prompt: What it shows; it makes the inversion truer.
        keep_background: Whether everything outside the masks stays the source's.
        sampling: Overrides of the run's sampling settings.
    """

    source: str = bounded(MUST_BE_SET, text=True)
    source_fps: float | None = bounded(None, above=0, high=RATE)
    source_prompt: str = ""
    keep_background: bool = True
    sampling: EditSampling = field(default_factory=EditSampling)


@dataclass
class EvaluateConfig:
    """Root of `python -m maskvid.evaluate`.

    Attributes:
        run: Run directory of a training, or a list of several, whose adapters mix; its clips are sampled and scored.
        mix: The share of each run; null shares equally.
        sets: Folder by name of the sets that are sampled; empty takes the run's validation sets.
        seed: Of the first video of each clip; null takes the run's.
        sampling: Overrides of the run's sampling settings; `samples` asks for several videos of each clip.
        scheduler: In place of the run's.
        backbone: Where the run's backbone lies now, and which ControlNet makes first frames.
        data: Where the run's training clips lie now.
        videos: In place of a run: a video, or a folder of videos with masks and captions, where there are any.
        masks: Of one video.
        prompt: Of one video.
        source: The clip it was edited from, or a folder with one of the same name for each video.
        height: Rows that videos are read at; null takes the masks', else the video's own.
        width: Columns likewise.
        mask_fps: Frames a second of the masks; null takes the files' own. As many masks as frames need none.
        max_foreground: Mean share of the picture above which masks are taken for inverted; 1 switches that test off.
        source_fps: Frames a second of the source, likewise.
        given_frames: Leading frames that mask scores leave out, because the model was given them.
        metrics: The encoders, see `maskvid.judges.panel.MetricEncoders`; of a run null takes the run's.
        trainer: Arguments of the Lightning trainer that samples a run, on one device or several; its precision is the
            run's where it is null.
        out: Folder for the figures; null makes `evaluation` in the run directory or beside the videos.
        save_videos: Whether the videos and strips of a run's clips are written, too.
        threads: Processor threads; null leaves PyTorch's choice.
    """

    run: Any = None
    mix: list[float] | None = None
    sets: dict[str, str] = field(default_factory=dict)
    seed: int | None = bounded(None, low=0, high=SEEDS)
    sampling: EvaluateSampling = field(default_factory=EvaluateSampling)
    scheduler: SchedulerOverride = field(default_factory=SchedulerOverride)
    backbone: BackboneOverrides = field(default_factory=BackboneOverrides)
    data: DataOverrides = field(default_factory=DataOverrides)
    videos: str | None = bounded(None, text=True)
    masks: str | None = bounded(None, text=True)
    prompt: str | None = bounded(None, text=True)
    source: str | None = bounded(None, text=True)
    height: int | None = bounded(None, low=1, high=PIXELS)
    width: int | None = bounded(None, low=1, high=PIXELS)
    mask_fps: float | None = bounded(None, above=0, high=RATE)
    max_foreground: float | None = bounded(None, above=0, high=1)
    source_fps: float | None = bounded(None, above=0, high=RATE)
    given_frames: int = bounded(1, low=0, high=FRAMES)
    metrics: Any = MUST_BE_SET
    trainer: Any = MUST_BE_SET
    out: str | None = bounded(None, text=True)
    save_videos: bool = True
    threads: int | None = bounded(None, low=1, high=THREADS)


@dataclass
class DrawConfig:
    """Root of `python -m maskvid.draw`.

    Attributes:
        drawing: JSON or YAML file, see `maskvid.masks.draw.drawing`; the key may be left out.
        text: A sentence in its place, see `maskvid.masks.draw.sentence`.
        frames: Of a sentence; null gives each gait its natural speed.
        fps: Frames a second of a sentence.
        height: Rows; null is the drawing's, of a sentence 320.
        width: Columns; null is the drawing's, of a sentence 480.
        format: `npz` (objects apart where there are several), `mp4`, `png` (a folder) or `davis` (object numbers).
        like: Folder of triples that a run was tuned on, for what is said of speed and size; null says nothing of them.
        out: Folder for the files.
        overwrite: Whether files of the same name are replaced; else the new ones get a number.
    """

    drawing: str | None = bounded(None, text=True)
    text: str | None = bounded(None, text=True)
    frames: int | None = bounded(None, low=2, high=FRAMES)
    fps: float = bounded(8.0, above=0, high=RATE)
    height: int | None = bounded(None, low=8, high=PIXELS)
    width: int | None = bounded(None, low=8, high=PIXELS)
    format: str = bounded("npz", choices=("npz", "mp4", "png", "davis"))
    like: str | None = bounded("assets://horse/train", text=True)
    out: str = bounded("drawn", text=True)
    overwrite: bool = False


@dataclass
class ReportConfig:
    """Root of `python -m maskvid.report`.

    Attributes:
        runs: Folder of a multirun, or any folder with runs in it.
        out: Folder for the report; null makes `report` in the sweep.
        title: Of the page; null is the sweep's name.
        columns: Metrics in the table and the plots; null takes all that were measured.
        clips: Clips of each set whose videos stand side by side on the page.
        plots: Whether to draw (needs the extra `report`).
    """

    runs: str = bounded(MUST_BE_SET, text=True)
    out: str | None = bounded(None, text=True)
    title: str | None = bounded(None, text=True)
    columns: list[str] | None = None
    clips: int = bounded(2, low=0, high=STEPS)
    plots: bool = True


@dataclass
class ExportConfig:
    """Root of `python -m maskvid.export`.

    Attributes:
        run: Run directory of a training.
        out: Folder for what others get; null makes `export` in the run directory.
        overwrite: Whether what is in that folder is replaced.
        base: Hub id of the backbone, for others; null names the run's own path.
        license: Of the weights, by the hub's name of it.
        push: `USER/NAME` on the hub to upload to; null uploads nothing.
    """

    run: str = bounded(MUST_BE_SET, text=True)
    out: str | None = bounded(None, text=True)
    overwrite: bool = False
    base: str | None = bounded(None, text=True)
    license: str = bounded("apache-2.0", text=True)
    push: str | None = bounded(None, text=True)


@dataclass
class DashboardConfig:
    """Root of `python -m maskvid.dashboard`.

    Attributes:
        entity: W&B user or team.
        project: W&B project.
        title: Of the report.
        sets: Validation sets that have bars.
        clips: Clips whose videos are shown.
        group_by: Settings whose values make groups of runs.
    """

    entity: str = bounded(MUST_BE_SET, text=True)
    project: str = bounded("maskvid", text=True)
    title: str = "maskvid"
    sets: list[str] = field(default_factory=lambda: ["horse", "unseen", "motion"])
    clips: list[str] = field(default_factory=lambda: ["videos_horse-000", "videos_unseen-000", "videos_motion-000"])
    group_by: list[str] = field(default_factory=lambda: ["method.name"])


@dataclass(kw_only=True)
class PrepareConfig(Preparation):
    """Root of `python -m maskvid.prepare`.

    Attributes:
        videos: A clip, a folder of clips, or a folder of folders of pictures.
        out: Folder for the triples and the page.
        overwrite: Whether what was prepared in that folder with other settings is made anew.
        dry_run: Only list the shots and windows.
        device: Null takes a GPU if there is one.
        threads: Processor threads; null leaves PyTorch's choice.
    """

    videos: str = bounded(MUST_BE_SET, text=True)
    out: str = bounded(MUST_BE_SET, text=True)
    overwrite: bool = False
    dry_run: bool = False
    device: str | None = bounded(None, text=True)
    threads: int | None = bounded(None, low=1, high=THREADS)
