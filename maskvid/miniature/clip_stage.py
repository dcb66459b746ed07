"""Training of the miniature's CLIP, an open_clip model, on renders that the backbone never saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CLIPTokenizer

from maskvid.files import atomic_write, json_text
from maskvid.miniature.augment import colour_jitter, soften
from maskvid.miniature.backbone_stage import tokenize
from maskvid.miniature.stage import Stage
from maskvid.miniature.tokenizer import CONTEXT
from maskvid.world import captions
from maskvid.world.stills import Pictures

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


def model_config(
    tokenizer: CLIPTokenizer, *, embed_dim: int, vision: dict[str, Any], text: dict[str, Any]
) -> dict[str, Any]:
    """open_clip's `model_cfg` for a picture encoder and a text encoder over `tokenizer`."""
    own = {
        "vocab_size": len(tokenizer),
        "context_length": CONTEXT,
        "hf_tokenizer_name": "maskvid-mini",  # open_clip then reads the tokenizer from the model's own folder
    }
    return {"embed_dim": embed_dim, "vision_cfg": dict(vision), "text_cfg": {**text, **own}}


def build(config: dict[str, Any]) -> CLIP:
    """An untrained open_clip model."""
    text = {key: value for key, value in config["text_cfg"].items() if key != "hf_tokenizer_name"}
    return CLIP(config["embed_dim"], config["vision_cfg"], text)


def positives(kinds: np.ndarray) -> torch.Tensor:
    """Target of the contrastive loss: pairs of the same attributes are all positive.

    Args:
        kinds: (n,) a number for each distinct combination of attributes.

    Returns:
        float (n, n), rows sum to one.
    """
    same = torch.from_numpy(kinds[:, None] == kinds[None]).float()
    return same / same.sum(1, keepdim=True)


class ClipStage(Stage):
    """Contrastive training with several positives per row, and naming: each picture chooses among all species.

    A caption says much at once and often leaves something out; naming asks what zero-shot questions ask.

    Args:
        pictures: Corpus of the encoders.
        tokenizer: Of the miniature.
        embed_dim: Width of the joint embedding.
        vision: open_clip's `vision_cfg`.
        text: open_clip's `text_cfg` without vocabulary and context.
        batch: Pairs per step.
        hard: Share of batches whose pictures agree in ground and time, so that only the animal tells them apart.
        naming: Weight of the choice among the plain names of all species.
        jitter: Strength of the colour jitter; small, or coats and times of day blend.
        start: Folder of an exported CLIP of this architecture to start from, or None.
        settings: Keyword arguments of `Stage`.
    """

    def __init__(
        self,
        pictures: Pictures,
        tokenizer: CLIPTokenizer,
        *,
        embed_dim: int,
        vision: dict[str, Any],
        text: dict[str, Any],
        batch: int = 64,
        hard: float = 0.5,
        naming: float = 1.0,
        jitter: float = 0.1,
        start: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.config = model_config(tokenizer, embed_dim=embed_dim, vision=vision, text=text)
        self.clip = build(self.config)
        if start is not None:
            self.clip.load_state_dict(load_file(Path(start) / "open_clip_model.safetensors"))
        self.tokenizer = tokenizer
        self.pictures = pictures
        self.images = torch.from_numpy(pictures.images).permute(0, 3, 1, 2)
        self.batch, self.hard, self.naming, self.jitter = batch, hard, naming, jitter
        scenes: dict[tuple[str, str], list[int]] = {}
        for i, attributes in enumerate(pictures.attributes):
            scenes.setdefault((attributes["ground"], attributes["time"]), []).append(i)
        self.scenes = [torch.tensor(members) for members in scenes.values()]

    def captions(self, index: list[int], draw: torch.Generator) -> tuple[list[str], np.ndarray]:
        """A fresh wording for each picture and a number for what it shows."""
        rng = np.random.default_rng(int(torch.randint(1 << 62, (1,), generator=draw)))
        texts: list[str] = []
        numbers: list[int] = []
        known: dict[tuple[str, ...], int] = {}
        for i in index:
            attributes = self.pictures.attributes[i]
            texts.append(captions.caption(attributes, rng)[0])
            numbers.append(known.setdefault(tuple(attributes.values()), len(known)))
        return texts, np.array(numbers)

    def members(self, draw: torch.Generator) -> torch.Tensor:
        """Indices of a batch: from everywhere, or from one scene, drawn by its size."""
        if torch.rand((), generator=draw) >= self.hard:
            return torch.randint(len(self.images), (self.batch,), generator=draw)
        anyone = int(torch.randint(len(self.images), (1,), generator=draw))
        scene = next(members for members in self.scenes if (members == anyone).any())
        return scene[torch.randint(len(scene), (self.batch,), generator=draw)]

    def loss(self, draw: torch.Generator) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Cross-entropy to all positives, both ways, and to the name of the species."""
        index = self.members(draw)
        frames = self.images[index].float() / 127.5 - 1
        if torch.rand((), generator=draw) < 0.5:
            frames = frames.flip(-1)
        frames = soften(colour_jitter(frames, draw, strength=self.jitter), draw)
        mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
        frames = (((frames + 1) / 2 - mean) / std).to(self.device)
        texts, kinds = self.captions(index.tolist(), draw)
        tokens = tokenize(self.tokenizer, texts).to(self.device)
        target = positives(kinds).to(self.device)
        pictures, words = self.clip.encode_image(frames), self.clip.encode_text(tokens)
        scale = self.clip.logit_scale.clamp(max=4.6052).exp()  # at most 100, as in CLIP
        pictures = F.normalize(pictures.float(), dim=-1)
        logits = scale * pictures @ F.normalize(words.float(), dim=-1).T
        value = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        sentences = [captions.zero_shot("species", species) for species in captions.SPECIES]
        wording = int(torch.randint(len(sentences[0]), (1,), generator=draw))
        names = tokenize(self.tokenizer, [each[wording] for each in sentences]).to(self.device)
        choices = scale * pictures @ F.normalize(self.clip.encode_text(names).float(), dim=-1).T
        shown = [captions.SPECIES.index(self.pictures.attributes[i]["species"]) for i in index.tolist()]
        species = torch.tensor(shown, device=self.device)
        value = value + self.naming * F.cross_entropy(choices, species)
        hit = target[torch.arange(len(target)), logits.detach().argmax(1)] > 0
        named = (choices.detach().argmax(1) == species).float().mean()
        return value, {"hit": hit.float().mean(), "named": named, "scale": scale.detach()}

    def export(self, folder: Path) -> None:
        """Write `folder/mini_clip`: configuration, half-precision weights and tokenizer, as open_clip reads them."""
        model: nn.Module = self.averaged("clip")
        state = {
            name: (value.half() if value.is_floating_point() else value).detach().cpu().contiguous()
            for name, value in model.state_dict().items()
        }
        with atomic_write(folder / "mini_clip") as temporary:
            temporary.mkdir()
            preprocess = {"mean": MEAN, "std": STD, "interpolation": "bicubic", "resize_mode": "shortest"}
            config = {"model_cfg": self.config, "preprocess_cfg": preprocess}
            (temporary / "open_clip_config.json").write_text(json_text(config))
            save_file(state, temporary / "open_clip_model.safetensors")
            self.tokenizer.save_pretrained(temporary)
