"""Videos longer than a window: segment after segment, carrying latents and keeping the first frame of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

SampleSegment = Callable[[torch.Tensor, list[int]], torch.Tensor]


def segments(num_frames: int, window: int, carry: int) -> Iterator[tuple[list[int], int]]:
    """Cut a video into windows that overlap by carried frames and all begin with frame 0.

    Args:
        num_frames: Frames of the video, at least 2.
        window: Most frames that are denoised together.
        carry: Frames of the segment before that stay clean beside frame 0.

    Yields:
        Indices of the segment's frames, and how many of them at the front are known already.
    """
    if num_frames > window and (carry < 1 or window < carry + 2):
        raise ValueError(f"window={window} leaves no room for frame 0, {carry} >= 1 carried frames and a new one")
    done = min(window, num_frames)
    yield list(range(done)), 1
    while done < num_frames:
        # Only a window as short as its overlap could carry frame 0 itself once more.
        carried = list(range(max(1, done - carry), done))
        new = min(window - 1 - len(carried), num_frames - done)
        yield [0, *carried, *range(done, done + new)], 1 + len(carried)
        done += new


def long_video(
    sample_segment: SampleSegment, first_frame: torch.Tensor, *, num_frames: int, window: int, carry: int = 1
) -> Iterator[torch.Tensor]:
    """Sample a video of any length in constant memory (the paper's autoregressive extension, our interpretation).

    Every segment begins with the global first frame, from which all others take their looks, so that errors do not add
    up from segment to segment; the last latents of the segment before stay clean beside it, so that motion goes on.
    Nothing is decoded and encoded again.

    Args:
        sample_segment: Given clean latents (b, k, c, h, w) and the frames' indices, of which they are the first k,
            returns all of the segment's latents (b, f, c, h, w).
        first_frame: (b, c, h, w), clean.
        num_frames: Frames of the video.
        window: Most frames of a segment.
        carry: Carried frames.

    Yields:
        Latents (b, n, c, h, w) of new frames in order; the first piece begins with `first_frame`.
    """
    first = first_frame.unsqueeze(1)
    tail = first[:, :0]
    for indices, known in segments(num_frames, window, carry):
        clean = torch.cat([first, tail[:, tail.shape[1] - (known - 1) :]], 1)
        latents = sample_segment(clean, indices)
        new = latents if known == 1 else latents[:, known:]
        tail = latents[:, -carry:]
        yield new
