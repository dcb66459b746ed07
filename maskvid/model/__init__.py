"""The mask-guided video U-Net, its frozen backbone and its adapter file."""

from maskvid.model.adapter import load_adapter, mix_adapters, read_adapter, save_adapter
from maskvid.model.backbone import Backbone, Embedded
from maskvid.model.inflate import ROUGH, InflatedUNet
from maskvid.model.mask_input import MaskInput, mask_inputs, merge_ranges
from maskvid.model.roles import decays, parameters_by_role

__all__ = [
    "ROUGH",
    "Backbone",
    "Embedded",
    "InflatedUNet",
    "MaskInput",
    "decays",
    "load_adapter",
    "mask_inputs",
    "merge_ranges",
    "mix_adapters",
    "parameters_by_role",
    "read_adapter",
    "save_adapter",
]
