"""Triples on disk to batches of encoded windows."""

from maskvid.data.cache import Encoder
from maskvid.data.datamodule import MaskVidDataModule
from maskvid.data.triples import Triple, read_triples

__all__ = ["Encoder", "MaskVidDataModule", "Triple", "read_triples"]
