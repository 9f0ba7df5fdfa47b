"""Segmentation models: decoders and encoders of segmentation-models-pytorch, in all pairs."""

from typing import Any

from torch_libraries.library import Library, on_meta

_DECODERS = {
    "unet": "unet",
    "unetplusplus": "unetplusplus",
    "manet": "manet",
    "linknet": "linknet",
    "fpn": "fpn",
    "pspnet": "pspnet",
    "pan": "pan",
    "deeplabv3": "deeplabv3",
    "deeplabv3plus": "deeplabv3plus",
    "upernet": "upernet",
    "segformer": "segformer",
    "dpt": "dpt",
}
"""Families of the decoders; both names are those of the package and of the papers."""
_DENSE = {"unetplusplus", "linknet", "pan", "deeplabv3", "deeplabv3plus"}
"""Decoders that need a feature map at every stride or dilated strides, which the encoders of `_SPARSE` do not give."""
_ENCODERS = [
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "se_resnet50",
    "densenet121",
    "densenet169",
    "vgg11",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19_bn",
    "inceptionv4",
    "inceptionresnetv2",
    "xception",
    "efficientnet-b0",
    "efficientnet-b1",
    "efficientnet-b3",
    "efficientnet-b4",
    "mobilenet_v2",
    "dpn68",
    "mobileone_s0",
    "mobileone_s4",
    "timm-resnest14d",
    "timm-resnest50d",
    "timm-res2net50_26w_4s",
    "timm-regnetx_002",
    "timm-regnetx_016",
    "timm-regnety_008",
    "timm-skresnet18",
    "timm-gernet_s",
    "timm-mobilenetv3_small_100",
    "timm-mobilenetv3_large_100",
]
_SPARSE = [
    "mit_b0",
    "mit_b1",
    "mit_b2",
    "tu-convnext_tiny",
    "tu-convnext_small",
    "tu-swin_tiny_patch4_window7_224",
]
_PLAIN = [
    "tu-vit_tiny_patch16_224",
    "tu-vit_small_patch16_224",
    "tu-vit_large_patch16_224",
    "tu-deit3_small_patch16_224",
]
"""Transformers without a pyramid, for the decoder of dense prediction transformers."""
_IMAGE = (1, 3, 224, 224)


def _families() -> dict[str, str]:
    encoders = {decoder: _ENCODERS if decoder in _DENSE else _ENCODERS + _SPARSE for decoder in _DECODERS}
    encoders["dpt"] = _PLAIN
    return {f"{decoder}-{encoder}": _DECODERS[decoder] for decoder in _DECODERS for encoder in encoders[decoder]}


def _build(name: str) -> tuple[Any, tuple[Any, ...]]:
    import segmentation_models_pytorch
    import torch

    decoder, _, encoder = name.partition("-")
    create = segmentation_models_pytorch.create_model
    model = on_meta(lambda: create(decoder, encoder_name=encoder, encoder_weights=None))
    return model, (torch.empty(_IMAGE, device="meta"),)


SEGMENTATION = Library(_families, _build)
