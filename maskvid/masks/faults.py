"""What is wrong with a mask sequence, in words that name the remedy."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from maskvid.settings import MAX_FOREGROUND

_EMPTY_SHARE = 0.001
_BORDER_SHARE = 0.9


def mask_faults(masks: Iterable[np.ndarray], *, max_foreground: float = MAX_FOREGROUND) -> list[str]:
    """Judge a mask sequence by our rules (our interpretation of "empty" and "inverted").

    Empty: more than half of the frames have less than 0.1 % of their pixels at half intensity or more. An animal
    that enters or leaves the picture is accepted. Inverted: the foreground covers more than `max_foreground` of the
    picture on average, or more than 90 % of the picture's border and more than half of its area.

    Args:
        masks: uint8 (h, w) of each frame, 255 is foreground; an array (f, h, w) will do.
        max_foreground: In (0, 1]; 1 switches the test for inversion off.

    Returns:
        One sentence per fault; empty for a good sequence.
    """
    shares, borders, largest = [], [], 0
    for mask in masks:
        foreground = mask >= 128
        edges = (foreground[0], foreground[-1], foreground[1:-1, 0], foreground[1:-1, -1])
        shares.append(foreground.mean())
        borders.append(np.concatenate(edges).mean())
        largest = max(largest, int(mask.max()))
    empty = sum(share < _EMPTY_SHARE for share in shares)
    if 2 * empty > len(shares):
        return [
            f"empty mask: {empty} of {len(shares)} frames have no foreground (largest value {largest} of 255); "
            "white (255, or 1 in an npz) must mark the foreground, and the centre crop must not cut it away"
        ]
    area, border = float(np.mean(shares)), float(np.mean(borders))
    if max_foreground < 1 and (area > max_foreground or (border > _BORDER_SHARE and area > 0.5)):
        return [
            f"inverted mask: its foreground covers {area:.0%} of the picture and {border:.0%} of the picture's border; "
            "white must be the foreground. Invert it (`ffmpeg -i MASK -vf negate OUT`, or 1 - masks for an npz); if "
            "the foreground really is that large, set max_foreground=1"
        ]
    return []
