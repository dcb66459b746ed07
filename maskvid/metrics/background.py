"""Background preservation: what an edit left as it was outside the masks."""

from __future__ import annotations

import torch
from torchmetrics.functional.image import peak_signal_noise_ratio

from maskvid.errors import UserError
from maskvid.metrics.base import ClipMean
from maskvid.metrics.mask import THRESHOLD


def background_psnr(edited: torch.Tensor, source: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Peak signal-to-noise ratio in dB between an edit and its source over the pixels outside the masks.

    Args:
        edited: float (f, 3, h, w) in [-1, 1].
        source: float (f, 3, h, w) in [-1, 1], the clip before the edit.
        masks: float (f, 1, h, w) in [0, 1]; the background is where they are below 0.5.

    Returns:
        Scalar; infinite where nothing changed. The mean over clips is then infinite, too: no largest figure is made up
        for such a clip, and none is left out; the rows hold the others.

    Raises:
        UserError: Shapes that do not fit, or masks that leave no background.
    """
    if edited.shape != source.shape or masks.shape != (len(edited), 1, *edited.shape[2:]):
        raise UserError(
            f"edited has shape {tuple(edited.shape)}, source {tuple(source.shape)} and masks {tuple(masks.shape)}; "
            "give (f, 3, h, w) twice and (f, 1, h, w)"
        )
    outside = (masks < THRESHOLD).to(edited.device).expand_as(edited)
    if not outside.any():
        raise UserError("masks leave no background to compare; background preservation cannot be measured")
    return peak_signal_noise_ratio(edited.float()[outside], source.to(edited).float()[outside], data_range=2.0)


class BackgroundPSNR(ClipMean):
    """`background_psnr`, averaged over clips."""

    def update(self, edited: torch.Tensor, source: torch.Tensor, masks: torch.Tensor) -> None:
        """Count one clip: the edit, its source, and the masks."""
        self.add(background_psnr(edited, source, masks))
