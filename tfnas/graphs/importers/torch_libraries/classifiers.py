"""Classifiers of images: timm and pytorchcv."""

import importlib
import re
from typing import Any

from torch_libraries.library import Library, module_name, on_meta

_OTHER_NAMES = {
    "efficientnetedge": "efficientnet",
    "inceptionresnetv2": "inception_resnet_v2",
    "inceptionv3": "inception_v3",
    "inceptionv4": "inception_v4",
    "mobilenetb": "mobilenet",
    "mobilenetv2": "mobilenet_v2",
    "preresnet": "resnetv2",
    "resneta": "resnet",
    "resnetd": "resnet",
    "resnext": "resnet",
    "seresnet": "senet",
    "seresnext": "senet",
    "shufflenetv2b": "shufflenetv2",
    "wrn": "resnet",
    "wrn1bit": "resnet",
    "xdensenet": "densenet",
}
"""Families of pytorchcv that another library names differently."""
_DATA_SETS = re.compile(r"_(cifar10|cifar|coco|cmupan)$")
_OTHER_CLASSES = re.compile(r"_(cifar100|svhn|cub)$")
"""Names of networks that differ from those of CIFAR-10 and of ImageNet by their number of classes alone."""


def _timm_families() -> dict[str, str]:
    import timm

    return {name: module_name(timm.models.model_entrypoint(name)) for name in timm.list_models()}


def _timm(name: str) -> tuple[Any, tuple[Any, ...]]:
    import timm
    import torch

    with torch.device("meta"):
        model = timm.create_model(name, pretrained=False)
        return model, (torch.empty(1, *model.default_cfg["input_size"]),)


def _pytorchcv_families() -> dict[str, str]:
    models = importlib.import_module("pytorchcv.model_provider")._models
    names = [name for name in models if not _OTHER_CLASSES.search(name)]
    families = {name: _DATA_SETS.sub("", module_name(models[name])) for name in names}
    return {name: _OTHER_NAMES.get(family, family) for name, family in families.items()}


def _pytorchcv(name: str) -> tuple[Any, tuple[Any, ...]]:
    import torch
    from pytorchcv.model_provider import get_model

    model = on_meta(lambda: get_model(name, pretrained=False))
    return model, (torch.empty(1, 3, *getattr(model, "in_size", (224, 224)), device="meta"),)


TIMM = Library(_timm_families, _timm)
PYTORCHCV = Library(_pytorchcv_families, _pytorchcv)
