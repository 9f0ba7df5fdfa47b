"""Small networks of depthwise convolutions."""

import keras
from keras import layers, ops

from tests.retrieval.textbook.residual import IMAGE, classified, conv_bn


def depthwise(x, kernel, strides, activation):
    x = layers.DepthwiseConv2D(kernel, strides, "same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.Activation(activation)(x) if activation else x


def mobilenet_v1():
    inputs = keras.Input(IMAGE)
    x = conv_bn(inputs, 16, 3, 2, "relu6")
    plan = ((32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (256, 2), *((256, 1),) * 5, (512, 2), (512, 1))
    for filters, strides in plan:
        x = conv_bn(depthwise(x, 3, strides, "relu6"), filters, 1, 1, "relu6")
    return classified(inputs, x)


def inverted_residual(x, expand, filters, kernel, strides, activation, squeeze=None):
    inputs, width = x, x.shape[-1]
    if expand != width:
        x = conv_bn(x, expand, 1, 1, activation)
    x = depthwise(x, kernel, strides, activation)
    if squeeze:
        gate, units = squeeze
        s = layers.GlobalAveragePooling2D(keepdims=True)(x)
        s = layers.Conv2D(units or width // 4, 1, activation="relu" if units else "swish")(s)
        x = layers.Multiply()([x, layers.Activation(gate)(layers.Conv2D(expand, 1)(s))])
    x = conv_bn(x, filters, 1, activation=None)
    return layers.Add()([inputs, x]) if strides == 1 and width == filters else x


def mobilenet_v2():
    inputs = keras.Input(IMAGE)
    x = conv_bn(inputs, 32, 3, 2, "relu6")
    plan = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for expansion, filters, depth, strides in plan:
        for number in range(depth):
            x = inverted_residual(x, expansion * x.shape[-1], filters, 3, strides if number == 0 else 1, "relu6")
    return classified(inputs, conv_bn(x, 1280, 1, 1, "relu6"))


def hard_sigmoid(x):
    return ops.relu6(x + 3.0) / 6.0


def hard_swish(x):
    return x * hard_sigmoid(x)


def mobilenet_v3_small():
    inputs = keras.Input(IMAGE)
    x = conv_bn(inputs, 16, 3, 2, hard_swish)
    plan = (
        (3, 16, 16, True, "relu", 2), (3, 72, 24, False, "relu", 2), (3, 88, 24, False, "relu", 1),
        (5, 96, 40, True, hard_swish, 2), (5, 240, 40, True, hard_swish, 1), (5, 240, 40, True, hard_swish, 1),
        (5, 120, 48, True, hard_swish, 1), (5, 144, 48, True, hard_swish, 1), (5, 288, 96, True, hard_swish, 2),
        (5, 576, 96, True, hard_swish, 1), (5, 576, 96, True, hard_swish, 1),
    )  # fmt: skip
    for kernel, expand, filters, squeezed, activation, strides in plan:
        squeeze = (hard_sigmoid, expand // 4) if squeezed else None
        x = inverted_residual(x, expand, filters, kernel, strides, activation, squeeze)
    x = layers.GlobalAveragePooling2D(keepdims=True)(conv_bn(x, 576, 1, 1, hard_swish))
    x = layers.Activation(hard_swish)(layers.Conv2D(1024, 1)(x))
    return keras.Model(inputs, layers.Softmax()(layers.Flatten()(layers.Conv2D(1000, 1)(x))))


def efficientnet_b0():
    inputs = keras.Input(IMAGE)
    x = conv_bn(inputs, 32, 3, 2, "swish")
    plan = (
        *((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5)),
        *((6, 192, 4, 2, 5), (6, 320, 1, 1, 3)),
    )
    for expansion, filters, depth, strides, kernel in plan:
        for number in range(depth):
            x = inverted_residual(
                x, expansion * x.shape[-1], filters, kernel, strides if number == 0 else 1, "swish", ("sigmoid", 0)
            )
    return classified(inputs, layers.Dropout(0.2)(conv_bn(x, 1280, 1, 1, "swish")))


def efficientnet_v2():
    def fused(x, expansion, filters, strides):
        inputs = x
        x = conv_bn(x, expansion * x.shape[-1], 3, strides, "swish")
        x = conv_bn(x, filters, 1, activation=None) if expansion > 1 else x
        return layers.Add()([inputs, x]) if strides == 1 and inputs.shape[-1] == filters else x

    inputs = keras.Input(IMAGE)
    x = conv_bn(inputs, 24, 3, 2, "swish")
    for expansion, filters, depth, strides in ((1, 24, 2, 1), (4, 48, 4, 2), (4, 64, 4, 2)):
        for number in range(depth):
            x = fused(x, expansion, filters, strides if number == 0 else 1)
    for expansion, filters, depth, strides in ((4, 128, 6, 2), (6, 160, 9, 1), (6, 256, 5, 2)):
        for number in range(depth):
            x = inverted_residual(
                x, expansion * x.shape[-1], filters, 3, strides if number == 0 else 1, "swish", ("sigmoid", 0)
            )
    return classified(inputs, conv_bn(x, 1280, 1, 1, "swish"))


def xception():
    def separable(x, filters, activate=True):
        x = layers.ReLU()(x) if activate else x
        return layers.BatchNormalization()(layers.SeparableConv2D(filters, 3, padding="same", use_bias=False)(x))

    inputs = keras.Input((299, 299, 3))
    x = conv_bn(conv_bn(inputs, 32, 3, 2), 64, 3)
    for number, filters in enumerate((128, 256, 728)):
        shortcut = conv_bn(x, filters, 1, 2, activation=None)
        x = separable(separable(x, filters, number > 0), filters)
        x = layers.Add()([layers.MaxPooling2D(3, 2, "same")(x), shortcut])
    for _ in range(4):
        y = x
        for _ in range(3):
            y = separable(y, 728)
        x = layers.Add()([x, y])
    shortcut = conv_bn(x, 1024, 1, 2, activation=None)
    x = layers.MaxPooling2D(3, 2, "same")(separable(separable(x, 728), 1024))
    x = layers.Add()([x, shortcut])
    x = layers.ReLU()(separable(x, 1536, False))
    return classified(inputs, layers.ReLU()(separable(x, 2048, False)))


def ghostnet():
    def ghost(x, filters, activation):
        x = conv_bn(x, filters // 2, 1, activation=activation)
        return layers.Concatenate()([x, depthwise(x, 3, 1, activation)])

    def block(x, expand, filters, kernel, strides, squeeze):
        y = ghost(x, expand, "relu")
        if strides > 1:
            y = depthwise(y, kernel, strides, None)
        if squeeze:
            s = layers.GlobalAveragePooling2D(keepdims=True)(y)
            s = layers.Conv2D(expand, 1)(layers.Conv2D(expand // 4, 1, activation="relu")(s))
            y = layers.Multiply()([y, layers.Activation(hard_sigmoid)(s)])
        y = ghost(y, filters, None)
        if strides > 1 or x.shape[-1] != filters:
            x = conv_bn(depthwise(x, kernel, strides, None), filters, 1, activation=None)
        return layers.Add()([x, y])

    inputs = keras.Input(IMAGE)
    x = conv_bn(inputs, 16, 3, 2)
    for row in ((16, 16, 3, 1, 0), (48, 24, 3, 2, 0), (72, 24, 3, 1, 0), (72, 40, 5, 2, 1), (120, 40, 5, 1, 1),
                (240, 80, 3, 2, 0), (200, 80, 3, 1, 0), (184, 80, 3, 1, 0), (480, 112, 3, 1, 1), (672, 160, 5, 2, 1),
                (960, 160, 5, 1, 0), (960, 160, 5, 1, 1)):  # fmt: skip
        x = block(x, *row)
    return classified(inputs, conv_bn(x, 960, 1))
