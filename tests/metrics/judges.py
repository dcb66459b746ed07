"""Real, tiny encoders for tests: an open_clip model of random weights and a segmenter that thresholds brightness."""

import os
from pathlib import Path
from typing import ClassVar

import open_clip
import torch
from torch import nn
from transformers import (
    Sam2ImageProcessorFast,
    Sam2VideoConfig,
    Sam2VideoModel,
    Sam2VideoProcessor,
    Sam2VideoVideoProcessor,
)

from maskvid.metrics.suite import VideoMetrics
from tests.data.tiny import make_masks


class TinyClip:
    """An open_clip model of 32 channels behind the interface of `maskvid.judges.clip_encoder.ClipEncoder`."""

    def __init__(self):
        torch.manual_seed(0)
        self.model = open_clip.CLIP(
            embed_dim=16,
            vision_cfg={"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
            text_cfg={"context_length": 32, "vocab_size": 256, "width": 32, "heads": 2, "layers": 1},
        ).eval()
        self.passes = 0

    def images(self, frames: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        return self.model.encode_image(nn.functional.interpolate(frames, (32, 32)), normalize=True)

    def texts(self, texts: list[str]) -> torch.Tensor:
        tokens = torch.zeros(len(texts), 32, dtype=torch.long)
        for row, text in zip(tokens, texts, strict=True):
            codes = torch.tensor([*text.encode()[:31]])
            row[: len(codes)] = codes
        return self.model.encode_text(tokens, normalize=True)


class Brightness(nn.Module):
    """Bright is foreground."""

    def forward(self, frames: torch.Tensor, masks: torch.Tensor | None = None) -> torch.Tensor:
        return frames.mean(1, keepdim=True).mul(4).sigmoid()


class KnownMasks:
    """A segmenter that finds what the triples of `tests.data.tiny` really show, whatever it is given; it keeps that."""

    frames: ClassVar[list[torch.Tensor]] = []

    def __init__(self, stride: int):
        self.stride = stride

    def __call__(self, frames: torch.Tensor, masks: torch.Tensor | None = None) -> torch.Tensor:
        self.frames.append(frames)
        return torch.from_numpy(make_masks()[:: self.stride][: len(frames), None]).to(frames) / 255


class TinyEncoders:
    device = torch.device("cpu")
    dino = None

    def __init__(self):
        self.clip = TinyClip()
        self.segmenter = Brightness()


def clip(index: int, count: int = 5, height: int = 32, width: int = 48) -> tuple[torch.Tensor, torch.Tensor, str]:
    """Random smooth frames, other random masks, and a prompt."""
    generator = torch.Generator().manual_seed(index)
    noise = torch.randn(count, 4, 4, 6, generator=generator)
    smooth = nn.functional.interpolate(noise, (height, width), mode="bicubic")
    return smooth[:, :3].tanh(), smooth[:, 3:].mul(3).sigmoid(), f"clip number {index}"


def score(indices: list[int], *, samples: int = 1) -> VideoMetrics:
    """Clips scored as edits of their own backwards version, each in `samples` versions."""
    encoders = TinyEncoders()
    encoders.dino = TinyClip()
    metrics = VideoMetrics(encoders)
    for index in indices:
        for seed in range(samples):
            frames, masks, prompt = clip(index + 10 * seed)
            metrics.update(
                frames,
                masks,
                prompt,
                clip_id=f"clip-{index}",
                seed=seed,
                source=frames.flip(0),
                reference=frames.flip(0),
            )
    return metrics


def shard(rank: int, world: int, folder: str, shards: list[list[int]]) -> None:
    """One rank's share; here, not in a test file, so that a spawned process can import it."""
    metrics = score(shards[rank], samples=2)
    torch.save((metrics.compute(), metrics.rows()), os.path.join(folder, f"{rank}.pt"))


def save_sam2(folder: Path, seed: int = 0) -> Path:
    """A SAM 2 of the true architecture with random weights, and its processor."""
    torch.manual_seed(seed)
    size = 128
    backbone = {
        "model_type": "sam2_hiera_det_model", "hidden_size": 8, "num_attention_heads": 1, "image_size": [size, size],
        "blocks_per_stage": [1, 1, 2, 1], "embed_dim_per_stage": [8, 16, 32, 64], "global_attention_blocks": [3],
        "num_attention_heads_per_stage": [1, 1, 1, 1], "window_size_per_stage": [8, 4, 8, 4],
    }  # fmt: skip
    vision = {
        "model_type": "sam2_vision_model", "backbone_config": backbone, "fpn_hidden_size": 128,
        "backbone_channel_list": [64, 32, 16, 8], "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
    }  # fmt: skip
    config = Sam2VideoConfig(
        vision_config=vision, image_size=size,
        prompt_encoder_config={"hidden_size": 128, "image_size": size, "mask_input_channels": 4},
        mask_decoder_config={"hidden_size": 128, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 32},
        memory_attention_hidden_size=128, memory_attention_num_layers=1, memory_attention_feed_forward_hidden_size=32,
        memory_attention_rope_feat_sizes=[8, 8], memory_encoder_hidden_size=128, memory_encoder_output_channels=64,
        mask_downsampler_embed_dim=128, memory_fuser_embed_dim=128, memory_fuser_intermediate_dim=32,
        memory_fuser_num_layers=1,
    )  # fmt: skip
    Sam2VideoModel(config).save_pretrained(folder)
    processor = Sam2VideoProcessor(
        image_processor=Sam2ImageProcessorFast(size={"height": size, "width": size}),
        video_processor=Sam2VideoVideoProcessor(size={"height": size, "width": size}),
        target_size=size,
    )
    processor.save_pretrained(folder)
    return folder
