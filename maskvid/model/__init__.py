"""The mask-guided video U-Net, its frozen backbone and its adapter file."""

from maskvid.model.adapter import load_adapter, mix_adapters, read_adapter, save_adapter
from maskvid.model.backbone import Backbone
from maskvid.model.inflate import InflatedUNet

__all__ = ["Backbone", "InflatedUNet", "load_adapter", "mix_adapters", "read_adapter", "save_adapter"]
