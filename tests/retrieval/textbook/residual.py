"""Residual networks."""

import keras
from keras import layers

IMAGE = (224, 224, 3)
CIFAR = (32, 32, 3)


def conv_bn(x, filters, kernel, strides=1, activation="relu", groups=1):
    x = layers.Conv2D(filters, kernel, strides, "same", groups=groups, use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.Activation(activation)(x) if activation else x


def basic_block(x, filters, strides):
    y = conv_bn(x, filters, 3, strides)
    y = conv_bn(y, filters, 3, activation=None)
    if strides != 1 or x.shape[-1] != filters:
        x = conv_bn(x, filters, 1, strides, activation=None)
    return layers.ReLU()(layers.Add()([x, y]))


def bottleneck_block(x, filters, strides, groups=1, squeeze=False):
    y = conv_bn(x, filters, 1)
    y = conv_bn(y, filters, 3, strides, groups=groups)
    y = conv_bn(y, 4 * filters, 1, activation=None)
    if squeeze:
        s = layers.GlobalAveragePooling2D(keepdims=True)(y)
        s = layers.Conv2D(filters // 4, 1, activation="relu")(s)
        y = layers.Multiply()([y, layers.Conv2D(4 * filters, 1, activation="sigmoid")(s)])
    if strides != 1 or x.shape[-1] != 4 * filters:
        x = conv_bn(x, 4 * filters, 1, strides, activation=None)
    return layers.ReLU()(layers.Add()([x, y]))


def resnet_cifar(depth):
    inputs = keras.Input(CIFAR)
    x = conv_bn(inputs, 16, 3)
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        for number in range((depth - 2) // 6):
            x = basic_block(x, filters, strides if number == 0 else 1)
    return classified(inputs, x, 10)


def classified(inputs, x, classes=1000):
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))


def resnet18():
    inputs = keras.Input(IMAGE)
    x = layers.MaxPooling2D(3, 2, "same")(conv_bn(inputs, 64, 7, 2))
    for filters, strides in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for number in range(2):
            x = basic_block(x, filters, strides if number == 0 else 1)
    return classified(inputs, x)


def resnet_bottlenecks(depths, width=64, **options):
    inputs = keras.Input(IMAGE)
    x = layers.MaxPooling2D(3, 2, "same")(conv_bn(inputs, 64, 7, 2))
    for stage, depth in enumerate(depths):
        for number in range(depth):
            x = bottleneck_block(x, width * 2**stage, 2 if stage and not number else 1, **options)
    return classified(inputs, x)


def preactivation_block(x, filters, strides, dropout=0.0):
    y = layers.ReLU()(layers.BatchNormalization()(x))
    if strides != 1 or x.shape[-1] != filters:
        x = layers.Conv2D(filters, 1, strides, use_bias=False)(y)
    y = layers.Conv2D(filters, 3, strides, "same", use_bias=False)(y)
    y = layers.ReLU()(layers.BatchNormalization()(y))
    y = layers.Dropout(dropout)(y) if dropout else y
    y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(y)
    return layers.Add()([x, y])


def preactivation_resnet(depth, width, dropout=0.0):
    inputs = keras.Input(CIFAR)
    x = layers.Conv2D(16, 3, padding="same", use_bias=False)(inputs)
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        for number in range(depth):
            x = preactivation_block(x, width * filters, strides if number == 0 else 1, dropout)
    return classified(inputs, layers.ReLU()(layers.BatchNormalization()(x)), 10)


def resnext29():
    inputs = keras.Input(CIFAR)
    x = conv_bn(inputs, 64, 3)
    for filters, strides in ((64, 1), (128, 2), (256, 2)):
        for number in range(3):
            x = bottleneck_block(x, filters, strides if number == 0 else 1, groups=8)
    return classified(inputs, x, 10)
