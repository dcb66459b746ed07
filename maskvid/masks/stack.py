"""The masks of a whole clip in memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np


class MaskStack:
    """Masks uint8 (h, w) of one size, kept compressed: ten minutes of film take some 50 MB, not 2.4 GB."""

    def __init__(self, masks: Iterable[np.ndarray] = ()) -> None:
        """Begin with some masks, for example an array (f, h, w)."""
        self._packed: list[bytes] = []
        self._size = (0, 0)
        for mask in masks:
            self.append(mask)

    def append(self, mask: np.ndarray) -> None:
        """Add one, of the size of the others."""
        self._size = mask.shape
        self._packed.append(zlib.compress(mask.astype(np.uint8).tobytes(), 1))

    def __len__(self) -> int:
        """Number of masks."""
        return len(self._packed)

    def __iter__(self) -> Iterator[np.ndarray]:
        """One after the other, each uint8 (h, w)."""
        return map(self._unpacked, self._packed)

    def __getitem__(self, indices: int | Sequence[int]) -> np.ndarray:
        """One, uint8 (h, w), or several, uint8 (n, h, w)."""
        if isinstance(indices, int):
            return self._unpacked(self._packed[indices])
        return np.stack([self._unpacked(self._packed[index]) for index in indices])

    def follow(self, indices: Sequence[int]) -> MaskStack:
        """Those chosen, still packed."""
        chosen = MaskStack()
        chosen._packed, chosen._size = [self._packed[index] for index in indices], self._size
        return chosen

    def _unpacked(self, packed: bytes) -> np.ndarray:
        return np.frombuffer(zlib.decompress(packed), np.uint8).reshape(self._size)
