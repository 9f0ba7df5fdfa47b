"""Segmentation models: decoders and encoders of segmentation-models-pytorch, in all pairs."""

from typing import Any

from torch_libraries.library import Library, on_meta

_DECODERS = (
    *("unet", "unetplusplus", "manet", "linknet", "fpn", "pspnet", "pan", "deeplabv3", "deeplabv3plus", "upernet"),
    *("segformer", "dpt"),
)
"""Decoders, by the names of their papers, which are the families of the models."""
_DILATED = {"pan", "deeplabv3", "deeplabv3plus"}
"""Decoders whose encoder must exchange its last strides for dilation."""
_FINE = {"unetplusplus", "linknet"}
"""Decoders that need a feature map at half of the image's extents."""
_CONVOLUTIONAL = (
    *("resnet18", "resnet34", "resnet50", "resnet101", "se_resnet50", "mobilenet_v2", "mobileone_s0", "mobileone_s4"),
    *("dpn68", "tu-efficientnet_b0", "tu-efficientnet_b1", "tu-efficientnet_b3"),
    *("tu-efficientnet_b4", "timm-resnest14d", "timm-resnest50d", "timm-res2net50_26w_4s", "timm-regnetx_002"),
    *("timm-regnetx_008", "timm-regnetx_016", "timm-regnety_002", "timm-regnety_008", "timm-skresnet18"),
    *("timm-skresnet34", "timm-gernet_s", "timm-gernet_m", "timm-mobilenetv3_small_100", "timm-mobilenetv3_large_100"),
)
_POOLED = (
    *("densenet121", "densenet169", "vgg11", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19_bn", "inceptionv4"),
    *("inceptionresnetv2", "xception", "tu-hrnet_w18", "tu-ghostnet_100", "tu-repvgg_a0", "tu-mobilevit_s"),
    "tu-mobilenetv4_conv_small",
    *("tu-darknet53", "tu-cspdarknet53", "tu-cspresnet50", "tu-dla34", "tu-ese_vovnet19b_dw", "tu-rexnet_100"),
    *("tu-resnetv2_50", "tu-resnet26d", "tu-efficientnet_lite0", "tu-mnasnet_100", "tu-mixnet_s", "tu-fbnetc_100"),
    *("tu-selecsls42b", "tu-lcnet_100", "tu-semnasnet_100", "tu-spnasnet_100", "tu-tf_efficientnetv2_b0"),
    *("tu-maxvit_tiny_tf_224", "tu-coatnet_0_rw_224", "tu-efficientvit_b0"),
)
"""Encoders that give every feature map, and can't be dilated."""
_SPARSE = (
    *("mit_b0", "mit_b1", "mit_b2", "tu-convnext_tiny", "tu-convnext_small", "tu-convnextv2_nano"),
    *("tu-swin_tiny_patch4_window7_224", "tu-pvt_v2_b0", "tu-pvt_v2_b2", "tu-poolformer_s12", "tu-edgenext_small"),
    *("tu-inception_next_tiny", "tu-hgnetv2_b0", "tu-fastvit_t8", "tu-repvit_m1_1", "tu-starnet_s1"),
    *("tu-davit_tiny", "tu-nextvit_small", "tu-efficientformer_l1", "tu-fasternet_t0", "tu-twins_svt_small"),
    "tu-focalnet_tiny_srf",
)
"""Encoders whose first feature map has a quarter of the image's extents."""
_PLAIN = (
    *("tu-vit_tiny_patch16_224", "tu-vit_small_patch16_224", "tu-vit_base_patch16_224", "tu-vit_large_patch16_224"),
    *("tu-deit3_small_patch16_224", "tu-deit3_base_patch16_224", "tu-beit_base_patch16_224"),
)
"""Transformers without a pyramid, for the decoder of dense prediction transformers."""
_IMAGE = (1, 3, 224, 224)


def _families() -> dict[str, str]:
    encoders = {
        decoder: (*_CONVOLUTIONAL, *_POOLED * (decoder not in _DILATED), *_SPARSE * (decoder not in _DILATED | _FINE))
        for decoder in _DECODERS
    }
    encoders["dpt"] = _PLAIN
    return {f"{decoder}-{encoder}": decoder for decoder in _DECODERS for encoder in encoders[decoder]}


def _build(name: str) -> tuple[Any, tuple[Any, ...]]:
    import segmentation_models_pytorch
    import torch

    decoder, _, encoder = name.partition("-")
    create = segmentation_models_pytorch.create_model
    model = on_meta(lambda: create(decoder, encoder_name=encoder, encoder_weights=None))
    return model, (torch.empty(_IMAGE, device="meta"),)


SEGMENTATION = Library(_families, _build)
