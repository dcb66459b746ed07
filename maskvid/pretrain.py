"""Train the embedded miniature: `python -m maskvid.pretrain stage=all`, or one of STAGES below."""

from __future__ import annotations

from maskvid.help import answer_help
from maskvid.stopping import stopping

if __name__ == "__main__":
    stopping.listen()
    answer_help("pretrain")  # before the imports below, which take seconds

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
import torch
from lightning import seed_everything
from omegaconf import DictConfig, OmegaConf

from maskvid.bounds import PRETRAINING
from maskvid.config import CONF, register
from maskvid.entry import check_config, entry_point, run
from maskvid.errors import UserError
from maskvid.files import check_output
from maskvid.world.stills import Pictures

register()


def finished(config: DictConfig, name: str) -> Path:
    """What an earlier stage has made.

    Raises:
        UserError: It is not there.
    """
    folder = Path(config.assets) / name
    if not folder.is_dir():
        raise UserError(f"assets={config.assets}: there is no {name} in it; run the stages before this one first.")
    return folder


def corpus(config: DictConfig, name: str) -> Pictures:
    """Pictures of one corpus; rendered first where shards are missing."""
    from maskvid.world.corpus import SHARD, load_pictures, render_corpus

    wanted = config.corpora[name]
    folder = Path(config.corpora.folder) / name
    if len(list(folder.glob("shard-*.npz"))) * SHARD < wanted.count:
        render_corpus(folder=folder, seed=wanted.seed, count=wanted.count, progress=config.progress)
    return load_pictures(folder, limit=wanted.count)


def train(config: DictConfig, name: str, build: Callable[[dict[str, Any]], Any]) -> None:
    """Build the stage called `name` from its settings and fit it."""
    from maskvid.miniature.stage import fit

    options: dict[str, Any] = OmegaConf.to_container(config[name], resolve=True)  # type: ignore[assignment]
    save_every, settings = options.pop("save_every"), options.pop("settings")
    seed_everything(settings["seed"], verbose=False)
    fit(
        build({**options, **settings}),
        run=Path(config.runs) / name,
        assets=Path(config.assets),
        save_every=save_every,
        accelerator=config.accelerator,
        compile=config.compile,
        progress=config.progress,
    )


def vae(config: DictConfig) -> None:
    """Train the VAE into `mini/vae`."""
    from maskvid.miniature.vae import VaeStage

    pictures = corpus(config, "backbone")
    train(config, "vae", lambda options: VaeStage(pictures, **options))


def decoder(config: DictConfig) -> None:
    """Go on training the decoder of `mini/vae` alone; the backbone stays valid."""
    from maskvid.miniature.vae import VaeStage

    pictures = corpus(config, "backbone")
    start = str(Path(config.runs) / "decoder" / "start")
    if not Path(start).exists():  # resuming must not start from its own export
        shutil.copytree(finished(config, "mini/vae"), start)
    train(config, "decoder", lambda options: VaeStage(pictures, start=start, freeze_encoder=True, **options))


def segmenter(config: DictConfig) -> None:
    """Train the segmenter into `mini_segmenter`."""
    from maskvid.miniature.segmenter_stage import SegmenterStage

    pictures = corpus(config, "encoders")
    train(config, "segmenter", lambda options: SegmenterStage(pictures, **options))


def clip(config: DictConfig) -> None:
    """Train the CLIP into `mini_clip`."""
    from maskvid.miniature.clip_stage import ClipStage
    from maskvid.miniature.tokenizer import build_tokenizer
    from maskvid.world.captions import vocabulary

    pictures, tokenizer = corpus(config, "encoders"), build_tokenizer(vocabulary())
    train(config, "clip", lambda options: ClipStage(pictures, tokenizer, **options))


def backbone(config: DictConfig) -> None:
    """Train U-Net and text encoder on latents of the finished VAE into `mini`."""
    from diffusers import AutoencoderKL

    from maskvid.miniature.backbone_stage import BackboneStage, cached_latents, latent_masks
    from maskvid.miniature.tokenizer import build_tokenizer
    from maskvid.world.captions import vocabulary

    pictures = corpus(config, "backbone")
    vae = AutoencoderKL.from_pretrained(finished(config, "mini/vae"), use_safetensors=True).float().eval()
    latents = cached_latents(vae, pictures, Path(config.runs) / "backbone" / "latents.pt")
    masks = latent_masks(torch.from_numpy(pictures.masks), (latents.shape[-2], latents.shape[-1]))
    tokenizer = build_tokenizer(vocabulary())
    train(
        config,
        "backbone",
        lambda options: BackboneStage(latents, masks, pictures.captions, tokenizer, vae, **options),
    )


def controlnet(config: DictConfig) -> None:
    """Train the mask ControlNet of the finished backbone into `mini_controlnet`."""
    from diffusers import StableDiffusionPipeline

    from maskvid.miniature.backbone_stage import cached_latents
    from maskvid.miniature.controlnet import ControlNetStage

    pictures = corpus(config, "backbone")
    pipeline = StableDiffusionPipeline.from_pretrained(finished(config, "mini"), use_safetensors=True)
    latents = cached_latents(pipeline.vae, pictures, Path(config.runs) / "backbone" / "latents.pt")
    masks = torch.from_numpy(pictures.masks)[:, None]
    train(config, "controlnet", lambda options: ControlNetStage(pipeline, latents, masks, pictures.captions, **options))


def card(config: DictConfig) -> None:
    """Measure what was trained on the held-out seed; write the model card and a sheet of samples."""
    from maskvid.devices import device_of
    from maskvid.files import atomic_write
    from maskvid.miniature.card import measure, sheet, training_facts, write_card

    assets = Path(config.assets)
    settings: dict[str, Any] = OmegaConf.to_container(config.card, resolve=True)  # type: ignore[assignment]
    settings["device"] = str(device_of(settings["device"], "card.device"))
    for name in ("mini", "mini_clip", "mini_segmenter", "mini_controlnet"):
        finished(config, name)
    del settings["notes"]  # of how the weights came about: for the facts below
    figures, samples = measure(assets, corpus(config, "heldout"), **settings)
    with atomic_write(assets / "samples.png") as temporary:
        sheet(samples[:24]).save(temporary)
    facts = training_facts(OmegaConf.to_container(config, resolve=True), Path(config.runs))  # type: ignore[arg-type]
    write_card(assets, figures, facts)
    for figure in figures:
        print(f"{figure.name}: {figure.reached:.3f} (required {figure.required:g}, n={figure.count})")


STAGES: dict[str, Callable[[DictConfig], None]] = {
    "vae": vae,
    "segmenter": segmenter,
    "clip": clip,
    "backbone": backbone,
    "controlnet": controlnet,
    "decoder": decoder,
    "card": card,
}


@hydra.main(version_base="1.3", config_path=CONF, config_name="pretrain")
@entry_point
def main(config: DictConfig) -> None:
    """Run one stage, or all in order."""
    check_config(config, "for example by stage=card.", others=PRETRAINING)
    for key in ("assets", "runs"):
        check_output(config[key], key)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    for name in STAGES if config.stage == "all" else [config.stage]:
        STAGES[name](config)


if __name__ == "__main__":
    run(main)
