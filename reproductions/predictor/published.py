"""Networks of `keras.applications` with the accuracies on ImageNet that their authors' weights reach.

References:
  Keras Applications, https://keras.io/api/applications, column "Top-1 Accuracy". The networks are of eight years, and
  their trainings differ.
"""

from tqdm import tqdm

from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.importers import keras_graphs

FAMILY = "keras_applications"

TOP_1 = {
    **{"Xception": 0.790, "VGG16": 0.713, "VGG19": 0.713, "InceptionV3": 0.779, "InceptionResNetV2": 0.803},
    **{"ResNet50": 0.749, "ResNet101": 0.764, "ResNet152": 0.766},
    **{"ResNet50V2": 0.760, "ResNet101V2": 0.772, "ResNet152V2": 0.780},
    **{"MobileNet": 0.704, "MobileNetV2": 0.713, "NASNetMobile": 0.744, "NASNetLarge": 0.825},
    **{"DenseNet121": 0.750, "DenseNet169": 0.762, "DenseNet201": 0.773},
    **{"EfficientNetB0": 0.771, "EfficientNetB1": 0.791, "EfficientNetB2": 0.801, "EfficientNetB3": 0.816},
    **{"EfficientNetB4": 0.829, "EfficientNetB5": 0.836, "EfficientNetB6": 0.840, "EfficientNetB7": 0.843},
    **{"EfficientNetV2B0": 0.787, "EfficientNetV2B1": 0.798, "EfficientNetV2B2": 0.805, "EfficientNetV2B3": 0.820},
    **{"EfficientNetV2S": 0.839, "EfficientNetV2M": 0.853, "EfficientNetV2L": 0.857},
    **{"ConvNeXtTiny": 0.813, "ConvNeXtSmall": 0.823, "ConvNeXtBase": 0.853, "ConvNeXtLarge": 0.863},
    "ConvNeXtXLarge": 0.867,
}
"""Share of ImageNet's validation images whose most likely class is right, by name."""


def graphs() -> list[ComputationGraph]:
    """The labelled graphs of all networks, at their own input sizes."""
    import keras

    built = []
    for name, accuracy in tqdm(TOP_1.items(), desc="Graphs of keras.applications", unit="network"):
        constructor = getattr(keras.applications, name)
        graph, _ = keras_graphs.from_constructor(
            lambda constructor=constructor: constructor(weights=None), name=name, family=FAMILY, source="keras"
        )
        built.append(graph.replace(label=accuracy))
    return built
