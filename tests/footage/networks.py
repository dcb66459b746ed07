"""Folders of the true architectures with random weights at tiny size: detectors, and a captioner."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    AutoTokenizer,
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessor,
    BlipProcessor,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessor,
    GroundingDinoProcessor,
    Owlv2Config,
    Owlv2ForObjectDetection,
    Owlv2ImageProcessor,
    Owlv2Processor,
)

import maskvid

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "a", "horse", "in", "field", "the", "dog", "brown", "runs"]


def _words(folder: Path) -> BertTokenizer:
    (folder / "words").mkdir(parents=True)
    (folder / "words" / "vocab.txt").write_text("\n".join(WORDS))
    return BertTokenizer.from_pretrained(folder / "words")


def save_grounding_dino(folder: Path, *, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    backbone = {
        "model_type": "swin", "image_size": 64, "patch_size": 4, "embed_dim": 8, "depths": [1, 1, 1, 1],
        "num_heads": [1, 1, 2, 2], "window_size": 4, "out_features": ["stage2", "stage3", "stage4"],
    }  # fmt: skip
    text = {
        "model_type": "bert", "vocab_size": len(WORDS), "hidden_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 64,
    }  # fmt: skip
    config = GroundingDinoConfig(
        backbone_config=backbone, text_config=text, d_model=32, encoder_layers=1, encoder_ffn_dim=32,
        encoder_attention_heads=2, decoder_layers=2, decoder_ffn_dim=32, decoder_attention_heads=2, num_queries=12,
        max_text_len=32, use_timm_backbone=False,
    )  # fmt: skip
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    GroundingDinoProcessor(
        GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96}), _words(folder.parent / "dino")
    ).save_pretrained(folder)
    return folder


def save_owl(folder: Path) -> Path:
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(Path(maskvid.__file__).parent / "assets" / "mini" / "tokenizer")
    config = Owlv2Config(
        text_config={
            "vocab_size": len(tokenizer), "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
            "num_attention_heads": 2, "max_position_embeddings": 77,
        },
        vision_config={
            "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
            "image_size": 64, "patch_size": 16,
        },
        projection_dim=16,
    )  # fmt: skip
    Owlv2ForObjectDetection(config).save_pretrained(folder)
    Owlv2Processor(Owlv2ImageProcessor(size={"height": 64, "width": 64}), tokenizer).save_pretrained(folder)
    return folder


def save_blip(folder: Path) -> Path:
    torch.manual_seed(0)
    config = BlipConfig(
        text_config={
            "vocab_size": len(WORDS), "hidden_size": 16, "encoder_hidden_size": 16, "intermediate_size": 32,
            "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 64, "projection_dim": 16,
            "bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0, "sep_token_id": 3,
        },
        vision_config={
            "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
            "image_size": 32, "patch_size": 16,
        },
        projection_dim=16,
    )  # fmt: skip
    BlipForConditionalGeneration(config).save_pretrained(folder)
    BlipProcessor(
        BlipImageProcessor(size={"height": 32, "width": 32}), _words(folder.parent / "blip-words")
    ).save_pretrained(folder)
    return folder
