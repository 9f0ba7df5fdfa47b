"""torchvision: classifiers of images and videos, detectors, segmentation and optical flow."""

import functools
from typing import Any

from torch_libraries.library import Library, module_name, on_meta

_OTHER_NAMES = {
    "inception": "inception_v3",
    "maxvit": "maxxvit",
    "mobilenetv2": "mobilenet_v2",
    "video.resnet": "video_resnet",
    "video.swin_transformer": "swin_transformer_3d",
}
"""Families that another library names differently, and those of videos."""
_CLIPS = dict.fromkeys(("mvit", "s3d", "swin_transformer_3d"), (16, 224, 224)) | {"video_resnet": (16, 112, 112)}
"""Frames, height and width of clips, by family."""
_IMAGE = 224
_EXTENTS = {"inception": 299, "raft": 256, "deeplabv3": 520, "fcn": 520, "lraspp": 520}
"""Heights and widths of images, by module."""
_SEGMENTATION = {"deeplabv3", "fcn", "lraspp"}
_AUXILIARY = {"googlenet", "inception"}
"""Modules whose auxiliary classifiers are for training alone."""
_DETECTORS = {"faster_rcnn", "fcos", "keypoint_rcnn", "mask_rcnn", "retinanet", "ssd", "ssdlite"}
_PROPOSALS = 32


def _families() -> dict[str, str]:
    from torchvision import models

    families = {}
    for name in models.list_models():
        *packages, module = models.get_model_builder(name).__module__.split(".")
        family = _OTHER_NAMES.get(f"{packages[-1]}.{module}", _OTHER_NAMES.get(module, module))
        if packages[-1] != "quantization":
            families[name] = family
    return families


def _build(name: str) -> tuple[Any, tuple[Any, ...]]:
    import torch
    from torchvision import models

    family = _families()[name]
    builder = models.get_model_builder(name)
    module = module_name(builder)
    arguments: dict[str, Any] = {"weights": None}
    if family in _DETECTORS or module in _SEGMENTATION:
        arguments["weights_backbone"] = None
    if module in _AUXILIARY:
        arguments |= {"aux_logits": False, "init_weights": False}
    model = on_meta(lambda: builder(**arguments))
    extents = [_EXTENTS.get(module, _IMAGE)] * 2
    if family in _DETECTORS:
        extents = _detector_extents(model)
        model = _network_class()(model)
    images = torch.empty(1, 3, *_CLIPS.get(family, extents), device="meta")
    return model, (images, images) if family == "raft" else (images,)


def _detector_extents(model: Any) -> tuple[int, int]:
    fixed = model.transform.fixed_size
    return (fixed[1], fixed[0]) if fixed else (model.transform.min_size[0], model.transform.min_size[0])


@functools.cache
def _network_class() -> type:
    import torch
    from torchvision.ops import roi_align

    class Network(torch.nn.Module):
        """A detector without the search for boxes: features, heads, and heads of fixed proposals."""

        def __init__(self, detector: torch.nn.Module):
            super().__init__()
            self.detector = detector

        def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
            features = self.detector.backbone(images)
            features = [features] if isinstance(features, torch.Tensor) else list(features.values())
            if not hasattr(self.detector, "rpn"):
                return list(self.detector.head(features).values())
            heads = self.detector.roi_heads
            outputs = [*self.detector.rpn.head(features)]
            outputs += heads.box_predictor(heads.box_head(self._pooled(features, heads.box_roi_pool)))
            for kind in ("mask", "keypoint"):
                if getattr(heads, f"has_{kind}")():
                    pooled = self._pooled(features, getattr(heads, f"{kind}_roi_pool"))
                    hidden = getattr(heads, f"{kind}_head")(pooled)
                    outputs.append(getattr(heads, f"{kind}_predictor")(hidden))
            return torch.utils._pytree.tree_leaves(outputs)

        def _pooled(self, features: list[torch.Tensor], pool: torch.nn.Module) -> torch.Tensor:
            levels = features[: len(pool.featmap_names)]
            boxes = levels[0].new_zeros(_PROPOSALS, 5).chunk(len(levels))
            size, ratio = pool.output_size, pool.sampling_ratio
            pairs = zip(levels, boxes, strict=True)
            return torch.cat([roi_align(level, box, size, 1.0, ratio) for level, box in pairs])

    return Network


TORCHVISION = Library(_families, _build)
