"""Measures the miniature on pictures nobody trained on and writes its model card."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import lightning
import numpy as np
import open_clip
import torch
import transformers
from diffusers import AutoencoderKL, AutoPipelineForText2Image, ControlNetModel, StableDiffusionPipeline
from PIL import Image
from scipy import ndimage

from maskvid.files import atomic_write
from maskvid.judges.clip_encoder import ClipEncoder, load_clip
from maskvid.judges.segmenter import Segmenter
from maskvid.model.control import control_picture
from maskvid.world import captions
from maskvid.world.stills import Pictures
from maskvid.world.studio import random_attributes


@dataclass
class Figure:
    """One measured number beside what it has to reach.

    Attributes:
        name: What was measured.
        required: Least value.
        reached: Measured value.
        count: Number of pictures.
        source: What they were measured on.
    """

    name: str
    required: float
    reached: float
    count: int
    source: str


def psnr(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Peak signal-to-noise ratio per picture in dB, (n,), of pictures (n, 3, h, w) in [-1, 1]."""
    error = ((output.clamp(-1, 1) - target) / 2).square().mean((1, 2, 3))
    return -10 * error.clamp(min=1e-10).log10()


def iou(guess: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Intersection over union per picture, (n,), of masks (n, 1, h, w) cut at one half; 1 where both are empty."""
    first, second = guess >= 0.5, truth >= 0.5
    union = (first | second).sum((1, 2, 3))
    both = (first & second).sum((1, 2, 3))
    return torch.where(union > 0, both / union.clamp(min=1), torch.ones_like(union, dtype=torch.float32))


def animals(mask: np.ndarray, *, least: int = 25) -> int:
    """Number of connected foreground regions of at least `least` pixels in a mask (h, w), diagonals included.

    Smaller specks are single misjudged pixels or a hoof cut off by its own shadow, not animals.
    """
    labels, count = ndimage.label(mask >= 0.5, structure=np.ones((3, 3)))
    return int((np.bincount(labels.ravel(), minlength=count + 1)[1:] >= least).sum())


@torch.no_grad()
def in_batches(function: Callable[[torch.Tensor], torch.Tensor], frames: torch.Tensor, batch: int = 64) -> torch.Tensor:
    """Apply a function of frames piece by piece."""
    return torch.cat([function(part) for part in frames.split(batch)])


def classify(
    embeddings: torch.Tensor, encoder: ClipEncoder, kind: str, values: Sequence[str], species: str = "horse"
) -> list[str]:
    """Zero-shot choice among `values` by the mean of each value's sentences.

    Args:
        embeddings: Unit vectors (n, d) of pictures.
        encoder: The CLIP that made them.
        kind: Of `captions.zero_shot`.
        values: The choices.
        species: Wearer of the coat.
    """
    classes = torch.stack([encoder.texts(captions.zero_shot(kind, value, species)).mean(0) for value in values])
    classes = torch.nn.functional.normalize(classes, dim=-1)
    return [values[i] for i in (embeddings @ classes.T).argmax(1).tolist()]


def attribute_accuracy(
    embeddings: torch.Tensor, attributes: list[dict[str, str]], encoder: ClipEncoder
) -> dict[str, tuple[float, int]]:
    """Share of pictures whose species, ground and coat are recognised, each with the number of pictures counted.

    The coat is chosen among the coats of the true species; zebra and giraffe have only one and are left out.
    """
    result = {}
    for kind, values in (("species", captions.SPECIES), ("ground", captions.GROUNDS)):
        guesses = classify(embeddings, encoder, kind, values)
        hits = [guess == a[kind] for guess, a in zip(guesses, attributes, strict=True)]
        result[kind] = (float(np.mean(hits)), len(hits))
    hits = []
    for species in captions.SPECIES:
        index = [i for i, a in enumerate(attributes) if a["species"] == species]
        if len(captions.COATS(species)) > 1 and index:
            guesses = classify(embeddings[index], encoder, "coat", captions.COATS(species), species)
            hits += [guess == attributes[i]["coat"] for guess, i in zip(guesses, index, strict=True)]
    result["coat"] = (float(np.mean(hits)), len(hits))
    return result


def random_prompts(count: int, seed: int) -> tuple[list[str], list[dict[str, str]]]:
    """Captions in the world's own words that name species, coat and ground, and what they ask for.

    Captions that leave the ground or the coat unsaid are drawn anew: they could not be followed.
    """
    rng = np.random.default_rng([seed, 77])
    texts: list[str] = []
    wanted: list[dict[str, str]] = []
    while len(texts) < count:
        attributes = random_attributes(rng)
        text, _ = captions.caption(attributes, rng)
        sentences = captions.zero_shot("ground", attributes["ground"])
        grounds = [sentence.removeprefix("a dog ") for sentence in sentences if sentence.startswith("a dog ")]
        if any(words in text for words in grounds) and attributes["coat"] in text:
            texts.append(text)
            wanted.append(attributes)
    return texts, wanted


@torch.no_grad()
def sample(
    pipeline: StableDiffusionPipeline,
    prompts: list[str],
    *,
    seed: int,
    steps: int = 25,
    guidance: float = 4.0,
    batch: int = 32,
    size: tuple[int, int] = (64, 96),
    masks: torch.Tensor | None = None,
    scale: float = 1.0,
) -> torch.Tensor:
    """Pictures (n, 3, *size) in [-1, 1] for `prompts`, each from a noise of its own.

    A ControlNet is shown masks (n, 1, *size) and heard by `scale`.
    """
    pipeline.set_progress_bar_config(disable=True)
    parts = []
    for start in range(0, len(prompts), batch):
        texts = prompts[start : start + batch]
        draws = [torch.Generator().manual_seed(seed * 100_003 + start + i) for i in range(len(texts))]
        led: dict[str, Any] = {}
        if masks is not None:
            led["image"] = control_picture(masks[start : start + batch], "filled")
            led["controlnet_conditioning_scale"] = scale
        images = pipeline(
            texts,
            **led,
            height=size[0],
            width=size[1],
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=draws,
            output_type="pt",
        ).images
        parts.append(images.float().cpu() * 2 - 1)
    return torch.cat(parts)


def sheet(frames: torch.Tensor, columns: int = 6) -> Image.Image:
    """Pictures (n, 3, h, w) in [-1, 1] side by side; n must be a multiple of `columns`."""
    n, c, h, w = frames.shape
    grid = frames.reshape(n // columns, columns, c, h, w).permute(0, 3, 1, 4, 2).reshape(-1, columns * w, c)
    return Image.fromarray(((grid.clamp(-1, 1) + 1) * 127.5).round().byte().numpy())


def measure_vae(vae: AutoencoderKL, segmenter: Segmenter, frames: torch.Tensor, masks: torch.Tensor) -> list[Figure]:
    """Reconstruction and what the segmenter still finds in it, on frames (n, 3, h, w) and masks (n, 1, h, w)."""
    output = in_batches(lambda x: vae.decode(vae.encode(x).latent_dist.mean).sample.clamp(-1, 1), frames)
    on_renders = float(iou(in_batches(segmenter, frames), masks).mean())
    on_output = float(iou(in_batches(segmenter, output), masks).mean())
    n, source = len(frames), "held-out renders"
    return [
        Figure("VAE: PSNR in dB, mean over pictures", 33.0, float(psnr(output, frames).mean()), n, source),
        Figure("VAE: segmenter IoU on reconstructions / on renders", 0.97, on_output / on_renders, n, source),
        Figure("Segmenter: IoU, mean over pictures", 0.95, on_renders, n, source),
    ]


def measure_clip(encoder: ClipEncoder, frames: torch.Tensor, attributes: list[dict[str, str]]) -> list[Figure]:
    """Zero-shot accuracy on renders."""
    found = attribute_accuracy(in_batches(encoder.images, frames), attributes, encoder)
    least = {"species": 0.95, "ground": 0.95, "coat": 0.9}
    return [
        Figure(f"CLIP: zero-shot accuracy, {kind}", least[kind], *found[kind], "held-out renders") for kind in least
    ]


def measure_samples(
    encoder: ClipEncoder, segmenter: Segmenter, frames: torch.Tensor, attributes: list[dict[str, str]]
) -> list[Figure]:
    """How well samples follow their prompts, by the miniature's own CLIP and segmenter."""
    found = attribute_accuracy(in_batches(encoder.images, frames), attributes, encoder)
    least = {"species": 0.85, "ground": 0.9, "coat": 0.75}
    figures = [
        Figure(f"Text to image: {kind} as prompted", least[kind], *found[kind], "sampled pictures") for kind in least
    ]
    single = [animals(mask) == 1 for mask in in_batches(segmenter, frames)[:, 0].numpy()]
    figures.append(
        Figure(
            "Text to image: exactly one connected animal", 0.9, float(np.mean(single)), len(single), "sampled pictures"
        )
    )
    return figures


def measure_control(
    pipeline: StableDiffusionPipeline,
    controlnet: Path,
    encoder: ClipEncoder,
    segmenter: Segmenter,
    heldout: Pictures,
    *,
    count: int,
    seed: int,
    steps: int,
    guidance: float,
    control_guidance: float,
    control_scale: float,
) -> list[Figure]:
    """How well pictures led by held-out masks follow mask and text; the same prompts without masks beside them."""
    masks = torch.from_numpy(heldout.masks[:count])[:, None].float() / 255
    texts, attributes = heldout.captions[:count], heldout.attributes[:count]
    guide = ControlNetModel.from_pretrained(controlnet, use_safetensors=True)
    led = AutoPipelineForText2Image.from_pipe(pipeline, controlnet=guide)
    frames = sample(led, texts, masks=masks, seed=seed, steps=steps, guidance=control_guidance, scale=control_scale)
    plain = sample(pipeline, texts, seed=seed, steps=steps, guidance=guidance)
    follows = float(iou(in_batches(segmenter, frames), masks).mean())
    right, least = (
        attribute_accuracy(in_batches(encoder.images, pictures), attributes, encoder)["species"][0]
        for pictures in (frames, plain)
    )
    source = "pictures led by held-out masks"
    return [
        Figure("ControlNet: IoU with the mask", 0.85, follows, count, source),
        Figure(
            "ControlNet: species as prompted (required: what plain text to image reaches)", least, right, count, source
        ),
    ]


def write_card(folder: Path, figures: list[Figure], facts: dict[str, str]) -> None:
    """Write `folder/MODEL_CARD.md`."""
    rows = [
        f"| {f.name} | {f.required:g} | {f.reached:.3f} | {'yes' if f.reached >= f.required else '**no**'} |"
        f" {f.count} {f.source} |"
        for f in figures
    ]
    text = [
        "# The embedded miniature",
        "",
        "`mini` is a Stable Diffusion folder (`StableDiffusionPipeline.from_pretrained` of plain diffusers reads it)",
        "for pictures of 64 x 96 pixels, `mini_clip` an open_clip model, `mini_segmenter` a foreground segmenter.",
        "All were trained on renders of the embedded world alone by `python -m maskvid.pretrain`; `stage=card`",
        "measured what follows and wrote this file. Licence: Apache-2.0.",
        "",
        "The figures compare methods on the miniature with each other. They say nothing about Stable Diffusion, and",
        "scores of this CLIP are no CLIP ViT-L/14 scores: it knows the words of the embedded world and nothing else.",
        "",
        "| figure | required | reached | met | measured on |",
        "|---|---|---|---|---|",
        *rows,
        "",
        "An animal is a connected region of at least 25 pixels of the segmenter's mask. The coat is chosen among the",
        "coats of the prompted species; zebra and giraffe have only one and are left out.",
        "",
        "![samples](samples.png)",
        "",
        "| fact | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in facts.items()),
        "",
    ]
    with atomic_write(folder / "MODEL_CARD.md") as temporary:
        temporary.write_text("\n".join(text))


def training_facts(config: dict[str, Any], runs: Path) -> dict[str, str]:
    """Steps, seeds and settings of the stages, for the card.

    Args:
        config: The resolved configuration of `python -m maskvid.pretrain`.
        runs: Folder of the stages' runs, whose `facts.json` says how many steps were really done.
    """
    facts = {}
    for name in ("vae", "segmenter", "clip", "backbone", "controlnet", "decoder"):
        facts[name] = config["card"]["notes"][name]
        done = runs / name / "facts.json"
        if done.exists():
            facts[name] = "{steps} steps, seed {seed}; ".format(**json.loads(done.read_text())) + facts[name]
    corpora = config["corpora"]
    facts["corpora"] = ", ".join(
        f"{name}: {corpora[name]['count']} pictures of seed {corpora[name]['seed']}"
        for name in ("backbone", "encoders", "heldout")
    )
    card = config["card"]
    facts["samples"] = (
        f"{card['prompts']} prompts of seed {card['seed']}, DPM-Solver++ with {card['steps']} steps,"
        f" guidance {card['guidance']:g}; where the ControlNet leads, guidance {card['control_guidance']:g} and"
        f" controlnet_scale {card['control_scale']:g}"
    )
    facts["versions"] = versions()
    return facts


def versions() -> str:
    """Versions of the libraries that were used."""
    parts = [("torch", torch), ("lightning", lightning), ("diffusers", diffusers), ("transformers", transformers)]
    named = [f"{name} {module.__version__}" for name, module in [*parts, ("open_clip", open_clip)]]
    return ", ".join([f"Python {platform.python_version()}", *named])


def measure(
    assets: Path,
    heldout: Pictures,
    *,
    prompts: int,
    seed: int,
    steps: int,
    guidance: float,
    control_guidance: float,
    control_scale: float,
    device: str,
) -> tuple[list[Figure], torch.Tensor]:
    """All figures of the assets, and the sampled pictures.

    Args:
        assets: Folder that holds `mini`, `mini_clip` and `mini_segmenter`.
        heldout: Pictures of a seed that nothing was trained on.
        prompts: Number of prompts to sample.
        seed: Of the prompts and their noise.
        steps: Sampling steps.
        guidance: Scale of the classifier-free guidance.
        control_guidance: The same where the ControlNet leads, which needs less.
        control_scale: How much of the ControlNet is heard.
        device: Where to compute.
    """
    pipeline = StableDiffusionPipeline.from_pretrained(assets / "mini", use_safetensors=True).to(device)
    segmenter = Segmenter.from_pretrained(assets / "mini_segmenter").to(device)
    encoder = load_clip(assets / "mini_clip", device=device)
    frames = (torch.from_numpy(heldout.images).permute(0, 3, 1, 2).float() / 127.5 - 1).to(device)
    masks = (torch.from_numpy(heldout.masks)[:, None].float() / 255).to(device)
    texts, attributes = random_prompts(prompts, seed)
    samples = sample(pipeline, texts, seed=seed, steps=steps, guidance=guidance)
    figures = measure_vae(pipeline.vae, segmenter, frames, masks)
    figures += measure_clip(encoder, frames, heldout.attributes)
    figures += measure_samples(encoder, segmenter.cpu(), samples, attributes)
    if (assets / "mini_controlnet").is_dir():
        figures += measure_control(
            pipeline,
            assets / "mini_controlnet",
            encoder,
            segmenter,
            heldout,
            count=prompts,
            seed=seed,
            steps=steps,
            guidance=guidance,
            control_guidance=control_guidance,
            control_scale=control_scale,
        )
    return figures, samples
