"""The clean first frame as further input channels of the U-Net."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from maskvid.model.registration import recomposed
from maskvid.model.roles import Role


class FirstFrameInput(nn.Module):
    """A zero-started convolution from the first frame's latents to features at their own size (ours).

    Attention finds in the first frame what looks alike; this tells each place what stood there, so that a background
    which does not move need not be found again. The latents are given three times: whole; masked to the first frame's
    background, because what stood at the foreground has moved on; and brought to each frame's mask, so that a coat that
    tuning never saw is not painted anew in every frame, see `maskvid.model.registration`.

    Args:
        latent_channels: Channels of the latents.
        channels: Of the features.
    """

    role = Role.GUIDE

    def __init__(self, latent_channels: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3 * latent_channels, channels, 3, padding=1)
        for parameter in self.conv.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self, first_frame: torch.Tensor, masks: torch.Tensor | None, num_frames: int, *, rough: bool = False
    ) -> torch.Tensor:
        """What to add to the features.

        Args:
            first_frame: (b, c, h, w), clean latents.
            masks: (b, f, k, H, W) in [0, 1], one for each subject, or None: then all of the picture is background.
            num_frames: f.
            rough: Whether the masks are.

        Returns:
            (b f, channels, h, w); zero for frame 0, the reference.
        """
        b, later = len(first_frame), num_frames - 1
        background, brought = first_frame, first_frame.unsqueeze(1).expand(-1, later, -1, -1, -1)
        if masks is not None:
            h, w = first_frame.shape[-2:]
            background = first_frame * (1 - F.adaptive_avg_pool2d(masks[:, 0].amax(1, keepdim=True), (h, w)))
            brought = recomposed(first_frame, masks, rough=rough)
        standing = torch.cat([first_frame, background], 1).unsqueeze(1).expand(-1, later, -1, -1, -1)
        features = self.conv(torch.cat([standing, brought], 2).flatten(0, 1)).unflatten(0, (b, later))
        return torch.cat([torch.zeros_like(features[:, :1]), features], 1).flatten(0, 1)
