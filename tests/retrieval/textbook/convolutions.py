"""Networks of convolutions without shortcuts, of several branches, and of reparametrised blocks."""

import keras
from keras import layers

from tests.retrieval.textbook.residual import CIFAR, IMAGE, classified, conv_bn


def vgg(plan, batch_norm, units=512, shape=IMAGE):
    inputs = x = keras.Input(shape)
    for stage in plan:
        for filters in stage:
            if batch_norm:
                x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same")(x)))
            else:
                x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dropout(0.5)(layers.Dense(units, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(1000, activation="softmax")(x))


def alexnet():
    inputs = keras.Input((227, 227, 3))
    x = layers.Conv2D(96, 11, 4, activation="relu")(inputs)
    x = layers.MaxPooling2D(3, 2)(x)
    x = layers.Conv2D(256, 5, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D(3, 2)(x)
    x = layers.Conv2D(384, 3, padding="same", activation="relu")(x)
    x = layers.Conv2D(384, 3, padding="same", activation="relu")(x)
    x = layers.Conv2D(256, 3, padding="same", activation="relu")(x)
    x = layers.Flatten()(layers.MaxPooling2D(3, 2)(x))
    for _ in range(2):
        x = layers.Dropout(0.5)(layers.Dense(512, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(1000, activation="softmax")(x))


def squeezenet():
    def fire(x, squeeze, expand):
        x = layers.Conv2D(squeeze, 1, activation="relu")(x)
        left = layers.Conv2D(expand, 1, activation="relu")(x)
        right = layers.Conv2D(expand, 3, padding="same", activation="relu")(x)
        return layers.Concatenate()([left, right])

    inputs = keras.Input(IMAGE)
    x = layers.MaxPooling2D(3, 2)(layers.Conv2D(64, 3, 2, activation="relu")(inputs))
    x = layers.MaxPooling2D(3, 2)(fire(fire(x, 16, 64), 16, 64))
    x = layers.MaxPooling2D(3, 2)(fire(fire(x, 32, 128), 32, 128))
    for squeeze, expand in ((48, 192), (48, 192), (64, 256), (64, 256)):
        x = fire(x, squeeze, expand)
    x = layers.Conv2D(1000, 1, activation="relu")(layers.Dropout(0.5)(x))
    return keras.Model(inputs, layers.Softmax()(layers.GlobalAveragePooling2D()(x)))


def googlenet():
    def inception(x, one, three_in, three, five_in, five, pool):
        return layers.Concatenate()(
            [
                layers.Conv2D(one, 1, activation="relu")(x),
                layers.Conv2D(three, 3, padding="same", activation="relu")(
                    layers.Conv2D(three_in, 1, activation="relu")(x)
                ),
                layers.Conv2D(five, 5, padding="same", activation="relu")(
                    layers.Conv2D(five_in, 1, activation="relu")(x)
                ),
                layers.Conv2D(pool, 1, activation="relu")(layers.MaxPooling2D(3, 1, "same")(x)),
            ]
        )

    inputs = keras.Input(IMAGE)
    x = layers.Conv2D(64, 7, 2, "same", activation="relu")(inputs)
    x = layers.MaxPooling2D(3, 2, "same")(x)
    x = layers.Conv2D(64, 1, activation="relu")(x)
    x = layers.Conv2D(192, 3, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D(3, 2, "same")(x)
    x = inception(x, 64, 96, 128, 16, 32, 32)
    x = inception(x, 128, 128, 192, 32, 96, 64)
    x = layers.MaxPooling2D(3, 2, "same")(x)
    x = inception(x, 192, 96, 208, 16, 48, 64)
    x = inception(x, 160, 112, 224, 24, 64, 64)
    x = inception(x, 128, 128, 256, 24, 64, 64)
    x = inception(x, 112, 144, 288, 32, 64, 64)
    x = inception(x, 256, 160, 320, 32, 128, 128)
    x = layers.MaxPooling2D(3, 2, "same")(x)
    x = inception(x, 256, 160, 320, 32, 128, 128)
    x = inception(x, 384, 192, 384, 48, 128, 128)
    return classified(inputs, layers.Dropout(0.4)(x))


def inception_v3():
    """Five blocks of the first and the second kind, after the stem of Inception-v3."""

    def pooled(x, filters):
        return conv_bn(layers.AveragePooling2D(3, 1, "same")(x), filters, 1)

    inputs = keras.Input((299, 299, 3))
    x = conv_bn(conv_bn(conv_bn(inputs, 32, 3, 2), 32, 3), 64, 3)
    x = layers.MaxPooling2D(3, 2)(x)
    x = layers.MaxPooling2D(3, 2)(conv_bn(conv_bn(x, 80, 1), 192, 3))
    for filters in (32, 64, 64):
        five = conv_bn(conv_bn(x, 48, 1), 64, 5)
        double = conv_bn(conv_bn(conv_bn(x, 64, 1), 96, 3), 96, 3)
        x = layers.Concatenate()([conv_bn(x, 64, 1), five, double, pooled(x, filters)])
    double = conv_bn(conv_bn(conv_bn(x, 64, 1), 96, 3), 96, 3, 2)
    x = layers.Concatenate()([conv_bn(x, 384, 3, 2), double, layers.MaxPooling2D(3, 2, "same")(x)])
    for width in (128, 160, 192):
        seven = conv_bn(conv_bn(conv_bn(x, width, 1), width, (1, 7)), 192, (7, 1))
        double = conv_bn(x, width, 1)
        for kernel in ((7, 1), (1, 7), (7, 1)):
            double = conv_bn(double, width, kernel)
        double = conv_bn(double, 192, (1, 7))
        x = layers.Concatenate()([conv_bn(x, 192, 1), seven, double, pooled(x, 192)])
    return classified(inputs, x)


def densenet_bc(layers_per_block=16, growth=12):
    inputs = keras.Input(CIFAR)
    x = layers.Conv2D(2 * growth, 3, padding="same", use_bias=False)(inputs)
    for block in range(3):
        for _ in range(layers_per_block):
            y = layers.ReLU()(layers.BatchNormalization()(x))
            y = layers.Conv2D(4 * growth, 1, use_bias=False)(y)
            y = layers.ReLU()(layers.BatchNormalization()(y))
            y = layers.Conv2D(growth, 3, padding="same", use_bias=False)(y)
            x = layers.Concatenate()([x, y])
        x = layers.ReLU()(layers.BatchNormalization()(x))
        if block < 2:
            x = layers.AveragePooling2D(2)(layers.Conv2D(x.shape[-1] // 2, 1, use_bias=False)(x))
    return classified(inputs, x, 10)


def repvgg():
    inputs = x = keras.Input(IMAGE)
    for filters, depth in ((48, 1), (48, 2), (96, 4), (192, 10)):
        for number in range(depth):
            strides = 2 if number == 0 else 1
            branches = [conv_bn(x, filters, kernel, strides, activation=None) for kernel in (3, 1)]
            if strides == 1:
                branches.append(layers.BatchNormalization()(x))
            x = layers.ReLU()(layers.Add()(branches))
    return classified(inputs, x)


def regnet_x():
    def block(x, filters, strides):
        y = conv_bn(x, filters, 1)
        y = conv_bn(y, filters, 3, strides, groups=filters // 8)
        y = conv_bn(y, filters, 1, activation=None)
        if strides != 1 or x.shape[-1] != filters:
            x = conv_bn(x, filters, 1, strides, activation=None)
        return layers.ReLU()(layers.Add()([x, y]))

    inputs = keras.Input(IMAGE)
    x = conv_bn(inputs, 32, 3, 2)
    for filters, depth in ((24, 1), (56, 1), (152, 4), (368, 7)):
        for number in range(depth):
            x = block(x, filters, 2 if number == 0 else 1)
    return classified(inputs, x)
