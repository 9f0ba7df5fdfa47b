"""Restoration and super-resolution of images: the architectures of spandrel in their default configurations."""

import importlib
from typing import Any

from torch_libraries.library import Library, on_meta

_MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "ATD": ("ATD.__arch.atd_arch", {}),
    "CRAFT": ("CRAFT.__arch.CRAFT", {}),
    "SRVGGNetCompact": ("Compact.__arch.SRVGG", {}),
    "DAT": ("DAT.__arch.DAT", {}),
    "DCTLSA": ("DCTLSA.__arch.dctlsa", {}),
    "DITN_Real": ("DITN.__arch.DITN_Real", {}),
    "DRUNet": ("DRUNet.__arch.network_unet", {"in_nc": 3, "out_nc": 3}),
    "DnCNN": ("DnCNN.__arch.network_dncnn", {"in_nc": 3, "out_nc": 3}),
    "RRDBNet": ("ESRGAN.__arch.RRDB", {}),
    "FBCNN": ("FBCNN.__arch.FBCNN", {}),
    "FFTformer": ("FFTformer.__arch.fftformer_arch", {}),
    "HAT": ("HAT.__arch.HAT", {"window_size": 16}),
    "IPT": ("IPT.__arch.ipt", {}),
    "KBNet_l": ("KBNet.__arch.kbnet_l", {}),
    "KBNet_s": ("KBNet.__arch.kbnet_s", {}),
    "MixDehazeNet": ("MixDehazeNet.__arch.MixDehazeNet", {}),
    "MoESR": ("MoESR.__arch.MoESR", {}),
    "MoSR": ("MoSR.__arch.mosr_arch", {}),
    "NAFNet": ("NAFNet.__arch.NAFNet_arch", {}),
    "OmniSR": ("OmniSR.__arch.OmniSR", {}),
    "RCAN": ("RCAN.__arch.rcan_arch", {}),
    "RGT": ("RGT.__arch.rgt", {}),
    "UpCunet2x": ("RealCUGAN.__arch.upcunet_v3", {}),
    "UpCunet3x": ("RealCUGAN.__arch.upcunet_v3", {}),
    "UpCunet4x": ("RealCUGAN.__arch.upcunet_v3", {}),
    "RestoreFormer": ("RestoreFormer.__arch.restoreformer_arch", {}),
    "RetinexFormer": ("RetinexFormer.__arch.retinexformer_arch", {}),
    "SAFMN": ("SAFMN.__arch.safmn", {"dim": 36}),
    "SAFMN_BCIE": ("SAFMNBCIE.__arch.safmn_bcie", {"dim": 36}),
    "SCUNet": ("SCUNet.__arch.SCUNet", {}),
    "SwiftSRGAN": ("SwiftSRGAN.__arch.SwiftSRGAN", {}),
    "Swin2SR": ("Swin2SR.__arch.Swin2SR", {"window_size": 8}),
    "SwinIR": ("SwinIR.__arch.SwinIR", {"window_size": 8}),
    "Uformer": ("Uformer.__arch.Uformer", {}),
}
"""Module and arguments of each architecture; arguments without a default have the values of the papers."""
_FAMILIES = {"RRDBNet": "esrgan", "UpCunet2x": "upcunet", "UpCunet3x": "upcunet", "UpCunet4x": "upcunet"}
_FAMILIES |= {"KBNet_l": "kbnet", "KBNet_s": "kbnet", "SAFMN_BCIE": "safmn", "DITN_Real": "ditn"}
_CONSTRUCTORS = {"SwiftSRGAN": "Generator"}
_EXTENT = 64
_EXTENTS = {"IPT": 48, "RestoreFormer": 512, "Uformer": 128}


def _families() -> dict[str, str]:
    return {name: _FAMILIES.get(name, name.lower()) for name in _MODELS}


def _build(name: str) -> tuple[Any, tuple[Any, ...]]:
    import torch

    module, arguments = _MODELS[name]
    constructor = getattr(importlib.import_module(f"spandrel.architectures.{module}"), _CONSTRUCTORS.get(name, name))
    model = on_meta(lambda: constructor(**arguments))
    extent = _EXTENTS.get(name, _EXTENT)
    return model, (torch.empty(1, 3, extent, extent, device="meta"),)


SPANDREL = Library(_families, _build)
