"""The temporal layers of LAMP and Tune-A-Video, written from the facts of their papers, for comparison.

Wider than ours and in more places: at Stable Diffusion 1.4's shape LAMP's convolutions alone hold 191 M weights.
"""

from __future__ import annotations

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import Attention
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from torch import nn
from torch.nn import functional as F

from maskvid.model.roles import Role


class FullTemporalAttention(nn.Module):
    """Attention over frames at each position, behind a transformer block's feed-forward.

    As wide as the block, without a position code; the output weight starts at zero (Tune-A-Video, arXiv 2212.11565;
    LAMP, arXiv 2310.10769). Ours: the output bias starts at zero too, theirs keeps PyTorch's random one, by which an
    "untrained" network is already another.

    Args:
        block: The transformer block whose width and heads it takes.
    """

    role = Role.LAYER

    def __init__(self, block: BasicTransformerBlock) -> None:
        super().__init__()
        spatial = block.attn1
        width = spatial.to_q.in_features
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads=spatial.heads, dim_head=spatial.inner_dim // spatial.heads)
        for parameter in self.attention.to_out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, f, n, c) -> the residual to add, same shape."""
        b, _, n, _ = x.shape
        tokens = self.norm(x.transpose(1, 2).flatten(0, 1))
        return self.attention(tokens).unflatten(0, (b, n)).transpose(1, 2)


class ConvOverFrames(nn.Module):
    """LAMP's companion of a 2-D convolution: a causal convolution over three frames behind a one-channel gate.

    Ours: the gate starts at random weights, theirs at zero.

    Args:
        channels: Output channels of the 2-D convolution.
    """

    role = Role.LAYER

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.over_frames = nn.Conv3d(channels, channels, (3, 1, 1))
        self.gate = nn.Conv2d(channels, 1, 3, padding=1)  # 3 x 3: only then does the published count come out
        for parameter in self.over_frames.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, f, c, h, w) -> the residual to add, same shape; frame i is computed from frames i - 2 .. i."""
        b, f = x.shape[:2]
        gate = torch.sigmoid(self.gate(x.flatten(0, 1))).unflatten(0, (b, f))
        moved = self.over_frames(F.pad(x.transpose(1, 2), (0, 0, 0, 0, 2, 0))).transpose(1, 2)
        return gate * moved


def convolutions(unet: UNet2DConditionModel) -> dict[str, nn.Conv2d]:
    """The 2-D convolutions that LAMP extends: of `conv_in`, residual blocks and changes of resolution."""
    found = {}
    homes = (ResnetBlock2D, Downsample2D, Upsample2D)
    for name, module in unet.named_modules():
        parent = unet.get_submodule(name.rpartition(".")[0])
        if isinstance(module, nn.Conv2d) and (module is unet.conv_in or isinstance(parent, homes)):
            found[name] = module
    return found


def transformer_blocks(unet: UNet2DConditionModel) -> dict[str, BasicTransformerBlock]:
    """Every transformer block by its name."""
    return {name: module for name, module in unet.named_modules() if isinstance(module, BasicTransformerBlock)}
