"""MONAI: segmentation, registration, restoration and generation of medical volumes and images."""

import itertools
from typing import Any

from torch_libraries.library import Library, on_meta

_CHANNELS, _STRIDES = (16, 32, 64, 128, 256), (2, 2, 2, 2)
_UNET = {"in_channels": 1, "out_channels": 2, "channels": _CHANNELS, "strides": _STRIDES}
_DYNAMIC = {"kernel_size": [3] * 5, "strides": [1, 2, 2, 2, 2], "upsample_kernel_size": [2] * 4}
_IO = {"in_channels": 1, "out_channels": 2}
_PLAIN: dict[str, tuple[str, str, dict[str, Any]]] = {
    "unet": ("unet", "UNet", _UNET),
    "unet_res": ("unet", "UNet", {**_UNET, "num_res_units": 2}),
    "attention_unet": ("attention_unet", "AttentionUnet", _UNET),
    "basic_unet": ("unet", "BasicUNet", {}),
    "basic_unet_plusplus": ("unetplusplus", "BasicUNetPlusPlus", {}),
    "dynunet": ("dynunet", "DynUNet", {**_IO, **_DYNAMIC}),
    "dynunet_res": ("dynunet", "DynUNet", {**_IO, **_DYNAMIC, "res_block": True}),
    "autoencoder": ("autoencoder", "AutoEncoder", {**_IO, "channels": (8, 16, 32), "strides": (2, 2, 2)}),
    "autoencoder_res": (
        "autoencoder",
        "AutoEncoder",
        {**_IO, "channels": (8, 16, 32), "strides": (2, 2, 2), "num_res_units": 2},
    ),
    "densenet121": ("densenet", "DenseNet121", _IO),
    "densenet264": ("densenet", "DenseNet264", _IO),
    "highresnet": ("highresnet", "HighResNet", {}),
    "mednext_s": ("mednext", "MedNeXt", {}),
    "mednext_l": (
        "mednext",
        "MedNeXt",
        {
            "encoder_expansion_ratio": (3, 4, 8, 8),
            "decoder_expansion_ratio": (8, 8, 4, 3),
            "bottleneck_expansion_ratio": 8,
            "blocks_down": (3, 4, 8, 8),
            "blocks_bottleneck": 8,
            "blocks_up": (8, 8, 4, 3),
        },
    ),
    "segresnet": ("segresnet", "SegResNet", {}),
    "segresnet_ds": ("segresnet", "SegResNetDS", {"init_filters": 32}),
    "seresnet50": ("senet", "SEResNet50", {"in_channels": 1, "num_classes": 2}),
    "vnet": ("vnet", "VNet", {}),
    "voxelmorph_unet": (
        "voxelmorph",
        "VoxelMorphUNet",
        {
            "in_channels": 2,
            "unet_out_channels": 32,
            "channels": (16, 32, 32, 32, 32, 32),
            "final_conv_channels": (16, 16),
        },
    ),
    "vqvae": ("vqvae", "VQVAE", {"in_channels": 1, "out_channels": 1}),
    "autoencoder_kl": (
        "autoencoder_kl",
        "AutoencoderKL",
        {
            "channels": (32, 64, 64),
            "attention_levels": (False, False, True),
            "num_res_blocks": (1, 1, 1),
            "latent_channels": 4,
        },
    ),
    "patch_discriminator": ("patch_discriminator", "PatchDiscriminator", {"in_channels": 1, "channels": 64}),
    "regunet": ("regunet", "RegUNet", {"in_channels": 1, "num_channel_initial": 16, "depth": 3}),
    "localnet": (
        "localnet",
        "LocalNet",
        {"in_channels": 1, "num_channel_initial": 16, "extract_levels": (0, 1, 2, 3)},
    ),
    **{
        f"flexible_unet-{backbone}": ("unet", "FlexibleUNet", {"backbone": backbone, **_IO})
        for backbone in ("resnet18", "resnet50")
    },
    **{
        name: ("efficientnet", "EfficientNetBN", {"model_name": name, "in_channels": 1, "pretrained": False})
        for name in ("efficientnet-b0", "efficientnet-b3")
    },
    **{
        name: ("resnet", name, {"n_input_channels": 1, "num_classes": 2})
        for name in ("resnet10", "resnet18", "resnet34", "resnet50", "resnet101")
    },
    "unetr": ("unetr", "UNETR", {**_IO, "img_size": 96}),
    "swin_unetr": ("swin_unetr", "SwinUNETR", _IO),
    "swin_unetr_v2": ("swin_unetr", "SwinUNETR", {**_IO, "use_v2": True}),
    "vit": ("vit", "ViT", {"in_channels": 1, "img_size": 96, "patch_size": 16, "classification": True}),
    "vit_autoencoder": ("vit", "ViTAutoEnc", {"in_channels": 1, "img_size": 96, "patch_size": 16}),
}
"""Family, constructor and arguments of the models that take one image or volume."""
_IMAGES_ONLY = {name for name in _PLAIN if name.startswith("flexible_unet")}


def _families() -> dict[str, str]:
    names = {}
    for (name, row), rank in itertools.product(_PLAIN.items(), (2, 3)):
        if rank == 2 or name not in _IMAGES_ONLY:
            names[f"{name}_{rank}d"] = row[0]
    return names


def _build(name: str) -> tuple[Any, tuple[Any, ...]]:
    import monai.networks.nets
    import torch

    base, _, rank = name.rpartition("_")
    _, constructor, arguments = _PLAIN[base]
    channels = arguments.get("in_channels", 1)
    model = on_meta(lambda: getattr(monai.networks.nets, constructor)(spatial_dims=int(rank[0]), **arguments))
    return model, (torch.empty(1, channels, *[96] * int(rank[0]), device="meta"),)


MONAI = Library(_families, _build)
