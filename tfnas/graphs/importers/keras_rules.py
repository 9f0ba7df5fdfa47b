"""The layers of Keras 3 that are read from their configuration alone: one row per class."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tfnas.graphs.importers import keras_plain as plain
from tfnas.graphs.importers import keras_weighted as weighted
from tfnas.graphs.importers.keras_operations import Operations, Tensor
from tfnas.graphs.importers.keras_settings import Settings, Shape, State


def _nothing(operations: Operations, settings: Settings, shape: Shape) -> State:
    return {}


@dataclasses.dataclass(frozen=True)
class Rule:
    """How a layer is read.

    Attributes:
      call: function from operations, inputs, settings and state to the output.
      build: function from operations, settings and the shape of the input to the state: the layer's weights.
    """

    call: Callable[[Operations, Sequence[Any], Settings, State], Tensor]
    build: Callable[[Operations, Settings, Shape], State] = _nothing


_LAYERS = {
    **{f"Conv{rank}D": Rule(weighted.convolution, weighted.build_convolution) for rank in (1, 2, 3)},
    "DepthwiseConv2D": Rule(weighted.depthwise, weighted.build_depthwise),
    "SeparableConv2D": Rule(weighted.separable, weighted.build_separable),
    "Dense": Rule(weighted.dense, weighted.build_dense),
    "BatchNormalization": Rule(weighted.batch_norm, weighted.build_batch_norm),
    "LayerNormalization": Rule(weighted.layer_norm, weighted.build_norm),
    "Normalization": Rule(plain.normalization, plain.build_normalization),
    "Rescaling": Rule(plain.rescaling),
    "Activation": Rule(plain.activation),
    "ReLU": Rule(plain.relu),
    "LeakyReLU": Rule(plain.leaky_relu),
    "Softmax": Rule(plain.softmax),
    "Add": Rule(plain.add),
    "Average": Rule(plain.average),
    "Subtract": Rule(partial(plain.merge, "Sub", "Sub")),
    "Multiply": Rule(partial(plain.merge, "Mul", "Mul")),
    "Maximum": Rule(partial(plain.merge, "Maximum", "Maximum")),
    "Minimum": Rule(partial(plain.merge, "Minimum", "Minimum")),
    "Concatenate": Rule(plain.concatenate),
    **{f"MaxPooling{rank}D": Rule(partial(plain.pool, "MaxPool")) for rank in (1, 2, 3)},
    **{f"AveragePooling{rank}D": Rule(partial(plain.pool, "AvgPool")) for rank in (1, 2, 3)},
    **{f"GlobalMaxPooling{rank}D": Rule(partial(plain.global_pool, "Max", rank)) for rank in (1, 2, 3)},
    **{f"GlobalAveragePooling{rank}D": Rule(partial(plain.global_pool, "Mean", rank)) for rank in (1, 2, 3)},
    **{f"ZeroPadding{rank}D": Rule(plain.pad) for rank in (1, 2, 3)},
    **{f"Cropping{rank}D": Rule(plain.crop) for rank in (1, 2, 3)},
    "Flatten": Rule(plain.flatten),
    "Reshape": Rule(plain.reshape),
    "Permute": Rule(plain.permute),
    **{f"SpatialDropout{rank}D": Rule(plain.identity) for rank in (1, 2, 3)},
    **dict.fromkeys(("Dropout", "GaussianDropout", "GaussianNoise"), Rule(plain.identity)),
}

RULES: dict[tuple[str, str], Rule] = {
    **{("keras.layers", name): rule for name, rule in _LAYERS.items()},
    ("keras.src.applications.convnext", "LayerScale"): Rule(weighted.layer_scale, weighted.build_layer_scale),
    ("keras.src.applications.inception_resnet_v2", "CustomScaleLayer"): Rule(plain.scaled_sum),
}
"""Rules by the module and the class of a layer."""

ARITHMETIC: dict[tuple[str, str], Rule] = {
    ("keras.src.ops.numpy", name): Rule(partial(plain.arithmetic, kind, label))
    for name, kind, label in (
        ("Add", "AddV2", "Add"),
        ("Subtract", "Sub", "Sub"),
        ("Multiply", "Mul", "Mul"),
        ("TrueDivide", "RealDiv", "truediv"),
        ("Divide", "RealDiv", "truediv"),
    )
}
"""Rules of functions that stand in a model beside layers; no scope is theirs."""
