"""SAM 2 as a segmenter: it is shown the first mask and follows the object through the video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import Sam2VideoModel, Sam2VideoProcessor

from maskvid.errors import UserError, said
from maskvid.hub import check_model
from maskvid.weights_folder import refuse_broken


class Sam2Segmenter:
    """Tracks the foreground by SAM 2 (arXiv 2408.00714) from the first requested mask on.

    The first frame was given to the model and stands where its mask says, so what is tracked from there is judged in
    all others without their masks being seen.

    Args:
        path: Folder or hub id of a `Sam2VideoModel`, with its processor.
        device: Where it runs.
        key: What the path was set by, for messages.

    Raises:
        UserError: There is no such model, or its folder brings more than numbers.
    """

    tracks = True
    """It looks at a whole video at once."""

    def __init__(self, path: str | Path, device: torch.device | str = "cpu", *, key: str = "segmenter") -> None:
        name = f"{key}={str(path)!r}"
        check_model(str(path), name)
        try:
            self.processor = Sam2VideoProcessor.from_pretrained(path, trust_remote_code=False)
            self.model = Sam2VideoModel.from_pretrained(path, use_safetensors=True)
        except Exception as error:  # a stranger's files make the libraries raise anything
            raise UserError(f"{name} cannot be loaded: {said(error)}") from error
        refuse_broken(self.model, name)
        self.model.to(device).eval().requires_grad_(False)
        self.device = torch.device(device)

    @torch.no_grad()
    def __call__(self, frames: torch.Tensor, masks: torch.Tensor | None = None) -> torch.Tensor:
        """Foreground probability (f, 1, h, w) of one video (f, 3, h, w) in [-1, 1], led by masks (f, 1, h, w)[0].

        Raises:
            UserError: No masks, or no foreground in the first: then there is nothing to follow.
        """
        if masks is None or not (masks[0] >= 0.5).any():
            raise UserError(
                "SAM 2 follows the first mask's foreground, and there is none; give masks that begin with it"
            )
        pixels = (frames.float().clamp(-1, 1) + 1).mul(127.5).round().to(torch.uint8).cpu()
        session = self.processor.init_video_session(video=pixels.numpy(), inference_device=self.device)
        self.processor.add_inputs_to_inference_session(
            session, frame_idx=0, obj_ids=1, input_masks=[masks[0, 0].cpu() >= 0.5]
        )
        size = (int(frames.shape[-2]), int(frames.shape[-1]))
        return torch.stack([logits.sigmoid() for _, logits in self._propagated(session, 0, size)])

    @torch.no_grad()
    def follow(
        self,
        frames: np.ndarray,
        start: int,
        *,
        mask: np.ndarray | None = None,
        box: Sequence[float] | None = None,
        points: Sequence[tuple[float, float, int]] = (),
    ) -> np.ndarray:
        """Follow what is shown in one frame through all of them, forwards and backwards.

        Args:
            frames: uint8 (f, h, w, 3) RGB.
            start: The frame in which it is shown.
            mask: bool (h, w) there; or else
            box: left, top, right and bottom in pixels; or
            points: x, y and 1 on the foreground or 0 on the background; with a box they sharpen it.

        Returns:
            bool (f, h, w).
        """
        size = frames.shape[1:3]
        session = self.processor.init_video_session(
            video=np.ascontiguousarray(frames.transpose(0, 3, 1, 2)), inference_device=self.device
        )
        shown: dict[str, object] = {}
        if mask is not None:
            shown["input_masks"] = [torch.from_numpy(mask)]
        if box is not None:
            shown["input_boxes"] = [[list(box)]]
        if points:
            shown["input_points"] = [[[[x, y] for x, y, _ in points]]]
            shown["input_labels"] = [[[label for _, _, label in points]]]
        self.processor.add_inputs_to_inference_session(session, frame_idx=start, obj_ids=1, **shown)
        found = np.zeros(frames.shape[:3], bool)
        for reverse in (False, True):
            for index, logits in self._propagated(session, start, size, reverse=reverse):
                found[index] = (logits[0] > 0).cpu().numpy()
        return found

    def _propagated(
        self, session: object, start: int, size: tuple[int, int], *, reverse: bool = False
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """Index and log-odds (1, h, w) of each frame from one on."""
        for output in self.model.propagate_in_video_iterator(session, start_frame_idx=start, reverse=reverse):
            [logits] = self.processor.post_process_masks(
                [output.pred_masks], original_sizes=[list(size)], binarize=False
            )
            yield output.frame_idx, logits.reshape(1, *size)
