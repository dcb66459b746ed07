"""What is wrong with a mask sequence, in words that name the remedy."""

from __future__ import annotations

import numpy as np

MAX_FOREGROUND = 0.8
"""Mean share of the picture above which a mask is taken for inverted; configurable as `data.max_foreground`."""

_EMPTY_SHARE = 0.001
_BORDER_SHARE = 0.9


def mask_faults(masks: np.ndarray, *, max_foreground: float = MAX_FOREGROUND) -> list[str]:
    """Judge a mask sequence by our rules (our interpretation of "empty" and "inverted").

    Empty: more than half of the frames have less than 0.1 % of their pixels at half intensity or more. An animal
    that enters or leaves the picture is accepted. Inverted: the foreground covers more than `max_foreground` of the
    picture on average, or more than 90 % of the picture's border and more than half of its area.

    Args:
        masks: uint8 (f, h, w), 255 is foreground.
        max_foreground: In (0, 1]; 1 switches the test for inversion off.

    Returns:
        One sentence per fault; empty for a good sequence.
    """
    foreground = masks >= 128
    shares = foreground.mean(axis=(1, 2))
    empty = int((shares < _EMPTY_SHARE).sum())
    if 2 * empty > len(masks):
        return [
            f"empty mask: {empty} of {len(masks)} frames have no foreground (largest value {int(masks.max())} of 255); "
            "white (255, or 1 in an npz) must mark the foreground, and the centre crop must not cut it away"
        ]
    area = float(shares.mean())
    edges = (foreground[:, 0], foreground[:, -1], foreground[:, 1:-1, 0], foreground[:, 1:-1, -1])
    border = float(np.concatenate(edges, axis=1).mean())
    if max_foreground < 1 and (area > max_foreground or (border > _BORDER_SHARE and area > 0.5)):
        return [
            f"inverted mask: its foreground covers {area:.0%} of the picture and {border:.0%} of the picture's border; "
            "white must be the foreground. Invert it (`ffmpeg -i MASK -vf negate OUT`, or 1 - masks for an npz); if "
            "the foreground really is that large, set max_foreground=1"
        ]
    return []
