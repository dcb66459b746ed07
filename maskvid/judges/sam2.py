"""SAM 2 as a segmenter: it is shown the first mask and follows the object through the video."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import Sam2VideoModel, Sam2VideoProcessor

from maskvid.errors import UserError, said
from maskvid.weights_folder import check_weights_folder, refuse_broken


class Sam2Segmenter:
    """Tracks the foreground by SAM 2 (arXiv 2408.00714) from the first requested mask on.

    The first frame was given to the model and stands where its mask says, so what is tracked from there is judged in
    all others without their masks being seen.

    Args:
        path: Folder or hub id of a `Sam2VideoModel`, with its processor.
        device: Where it runs.

    Raises:
        UserError: There is no such model, or its folder brings more than numbers.
    """

    tracks = True
    """It looks at a whole video at once."""

    def __init__(self, path: str | Path, device: torch.device | str = "cpu") -> None:
        name = f"segmenter={str(path)!r}"
        if Path(path).is_dir():
            check_weights_folder(Path(path), name)
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
        size = list(frames.shape[-2:])
        found = []
        for output in self.model.propagate_in_video_iterator(session, start_frame_idx=0):
            [logits] = self.processor.post_process_masks([output.pred_masks], original_sizes=[size], binarize=False)
            found.append(logits.reshape(1, *size).sigmoid())
        return torch.stack(found)
