"""Layers of both generations of Keras: multiply-adds by hand, and every class of `keras.layers`."""

import inspect

import keras
import pytest
import tf_keras

from tfnas.errors import TfnasError
from tfnas.graphs.importers import from_file
from tfnas.graphs.importers.keras_graphs import from_keras

VECTOR, SEQUENCE, IMAGE, VOLUME = (16,), (8, 16), (8, 8, 4), (6, 6, 6, 4)


@pytest.fixture(params=[keras, tf_keras], ids=["keras", "tf_keras"])
def library(request):
    """Keras 3 and tf_keras in turn."""
    return request.param


def model_of(library, build, *shapes, dtype=None):
    inputs = [library.Input(shape, dtype=dtype) for shape in shapes]
    return library.Model(inputs, build(library.layers)(inputs if len(inputs) > 1 else inputs[0]))


@pytest.mark.parametrize(
    ("shape", "build", "products"),
    [
        (SEQUENCE, lambda layers: layers.Conv1D(3, 5), 4 * 3 * 5 * 16),
        (SEQUENCE, lambda layers: layers.Conv1D(4, 3, groups=2, padding="same"), 8 * 4 * 3 * 8),
        (SEQUENCE, lambda layers: layers.DepthwiseConv1D(3), 6 * 16 * 3),
        (SEQUENCE, lambda layers: layers.SeparableConv1D(5, 3), 6 * 16 * 3 + 6 * 16 * 5),
        (SEQUENCE, lambda layers: layers.Conv1DTranspose(3, 4, strides=2), 8 * 16 * 3 * 4),
        (IMAGE, lambda layers: layers.DepthwiseConv2D(3, depth_multiplier=2), 36 * 8 * 9),
        (IMAGE, lambda layers: layers.SeparableConv2D(5, 3), 36 * 4 * 9 + 36 * 4 * 5),
        (IMAGE, lambda layers: layers.Conv2DTranspose(3, 3, strides=2), 64 * 4 * 3 * 9),
        (VOLUME, lambda layers: layers.Conv3D(3, 3), 64 * 3 * 27 * 4),
        (VOLUME, lambda layers: layers.Conv3DTranspose(3, 2, strides=2), 216 * 4 * 3 * 8),
        (SEQUENCE, lambda layers: layers.EinsumDense("abc,cde->abde", (None, 3, 5)), 8 * 16 * 15),
        (SEQUENCE, lambda layers: lambda x: layers.Attention()([x, x]), 2 * 8 * 8 * 16),
        (SEQUENCE, lambda layers: lambda x: layers.MultiHeadAttention(2, 3)(x, x), 4 * 8 * 16 * 6 + 2 * 2 * 8 * 8 * 3),
    ],
)
def test_multiply_adds(library, shape, build, products):
    model = model_of(library, build, shape)
    graph = from_keras(model)
    assert graph.multiply_adds.sum() == products
    assert graph.total_parameters == model.count_params()


@pytest.mark.parametrize(
    ("shape", "build", "expected"),
    [
        (IMAGE, lambda layers: layers.GroupNormalization(2), "group_norm"),
        (IMAGE, lambda layers: layers.GroupNormalization(-1), "group_norm"),
        (SEQUENCE, lambda layers: layers.GroupNormalization(4), "group_norm"),
        (IMAGE, lambda layers: layers.LayerNormalization(), "layer_norm"),
    ],
)
def test_norms(library, shape, build, expected):
    model = model_of(library, build, shape)
    graph = from_keras(model)
    assert graph.operator_names == ["input", expected, "output"]
    assert graph.parameters.tolist() == [0, model.count_params(), 0]
    if expected == "group_norm":
        assert graph.shapes[1].tolist() == graph.shapes[0].tolist()


@pytest.mark.parametrize(
    ("build", "shape", "dtype", "expected"),
    [
        (lambda layers: layers.StringLookup(vocabulary=["a", "b"]), (3,), "string", ["LookupTableFindV2"]),
        (lambda layers: layers.IntegerLookup(vocabulary=[4, 5]), (3,), "int64", ["LookupTableFindV2"]),
        (lambda layers: layers.CategoryEncoding(5), (3,), "int32", ["DenseBincount"]),
        (lambda layers: layers.Hashing(5), (3,), "string", ["StringToHashBucketFast"]),
        (lambda layers: layers.Discretization([0.0, 1.0]), (3,), "float32", ["Bucketize"]),
        (lambda layers: layers.Rescaling(2.0), (3,), "float32", []),
    ],
)
def test_preprocessing(library, build, shape, dtype, expected):
    graph = from_keras(model_of(library, build, shape, dtype=dtype))
    assert graph.operator_names == ["input", *expected, "output"]


def test_a_model_of_texts(library, tmp_path):
    """Words, their numbers and an embedding; 4 words of 3 numbers are 12 inputs of the last layer."""

    def build(layers):
        words = layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=4)
        return library.Sequential([words, layers.Embedding(5, 3), layers.Flatten(), layers.Dense(2)])

    model = model_of(library, build, (1,), dtype="string")
    model.save(tmp_path / "model.keras")
    model.export(tmp_path / "exported")
    for graph in (from_keras(model), from_file(tmp_path / "model.keras"), from_file(tmp_path / "exported")):
        assert graph.counts()["LookupTableFindV2"] == graph.counts()["embedding"] == 1
        assert graph.total_parameters == model.count_params() == 15 + 26
        assert graph.multiply_adds.sum() == 24


SETTINGS = {
    **dict.fromkeys(("Dense", "LSTM", "GRU", "SimpleRNN", "RepeatVector"), (4,)),
    **dict.fromkeys(("Embedding", "ReversibleEmbedding"), (20, 4)),
    **dict.fromkeys(("Resizing", "CenterCrop", "RandomCrop"), (4, 4)),
    **dict.fromkeys(("MultiHeadAttention", "Dot"), (1, 4)),
    **dict.fromkeys(("GroupQueryAttention", "GroupedQueryAttention"), (4, 4, 2)),
    **dict.fromkeys(("CategoryEncoding", "Hashing", "HashedCrossing", "MaxNumBoundingBoxes", "Rescaling"), (5,)),
    **{
        "EinsumDense": ("abc,cd->abd", (None, 5)),
        "Activation": ("relu",),
        "Dot": (1,),
        "RandomTranslation": (0.2, 0.2),
        "RandomPosterization": (4,),
    },
    **{"Reshape": ((4, 4),), "Permute": ((2, 1),), "Discretization": ([0.0, 1.0],), "GroupNormalization": (2,)},
    **{"IntegerLookup": (None, 1, None, -1, [1, 2]), "StringLookup": (None, 1, None, "[UNK]", ["a", "b"])},
    **{"TextVectorization": (None, "lower_and_strip_punctuation", "whitespace", None, "int", 4)},
}
"""Arguments of layers, where one number does not do."""

INPUTS = {
    **dict.fromkeys(
        ("EinsumDense", "LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "TimeDistributed"), (SEQUENCE,)
    ),
    **dict.fromkeys(("Permute", "Masking"), (SEQUENCE,)),
    **dict.fromkeys(("Dense", "RepeatVector", "Reshape", "Discretization", "SpectralNormalization"), (VECTOR,)),
    **dict.fromkeys(("Attention", "AdditiveAttention", "MultiHeadAttention"), (SEQUENCE, SEQUENCE)),
    **dict.fromkeys(("GroupQueryAttention", "GroupedQueryAttention"), (SEQUENCE, SEQUENCE)),
    **dict.fromkeys(("Add", "Average", "Concatenate", "Maximum", "Minimum"), (VECTOR, VECTOR)),
    **dict.fromkeys(("Multiply", "Subtract", "Dot"), (VECTOR, VECTOR)),
    **{"ConvLSTM1D": ((5, 8, 4),), "ConvLSTM2D": ((5, 8, 8, 4),), "ConvLSTM3D": ((3, 5, 5, 5, 2),)},
    **{"MelSpectrogram": ((16000,),), "STFTSpectrogram": ((16000, 1),), "TextVectorization": ((1,),)},
    **{"HashedCrossing": ((1,), (1,)), "MaxNumBoundingBoxes": ((3, 4),)},
}
TYPES = {
    **dict.fromkeys(("Embedding", "ReversibleEmbedding", "CategoryEncoding", "IntegerLookup"), "int32"),
    **dict.fromkeys(("Hashing", "HashedCrossing", "StringLookup", "TextVectorization"), "string"),
}
NOT_ALONE = {
    *("Layer", "Wrapper", "InputLayer", "InputSpec", "AbstractRNNCell", "DenseFeatures", "Pipeline", "StackedRNNCells"),
    *("LSTMCell", "GRUCell", "SimpleRNNCell", "Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"),
}
"""Bases, cells, and layers that hold code."""

OTHER_COUNTS = {
    "Normalization": "the number of samples that it has seen is no weight",
    "SpectralNormalization": "its vector of power iterations takes part in training alone",
}
"""Layers whose graph has other parameters than Keras counts, and why."""


def constructed(layers, name):
    """A layer with small arguments: those of `SETTINGS`, those it needs, or none."""
    kind = getattr(layers, name)
    if name in ("TimeDistributed", "SpectralNormalization"):
        return kind(layers.Dense(3))
    if name in ("Bidirectional", "RNN"):
        return kind(layers.LSTM(3) if name == "Bidirectional" else layers.GRUCell(3))
    if name in SETTINGS:
        return kind(*SETTINGS[name])
    needed = [
        parameter
        for parameter in inspect.signature(kind.__init__).parameters.values()
        if parameter.default is parameter.empty and parameter.kind == parameter.POSITIONAL_OR_KEYWORD
    ]
    return kind(
        *[0.3 if "factor" in item.name or "rate" in item.name or "stddev" in item.name else 2 for item in needed[1:]]
    )


@pytest.mark.slow
def test_every_layer(library):
    """Every layer is read, or refused in one line; the parameters are those that Keras counts."""
    refused, wrong, read = {}, {}, 0
    for name in dir(library.layers):
        if name in NOT_ALONE or not inspect.isclass(getattr(library.layers, name)):
            continue
        rank = {"1D": SEQUENCE, "2D": IMAGE, "3D": VOLUME}.get(name.removesuffix("Transpose")[-2:], IMAGE)
        small = [(3,)] if name in TYPES else [rank]
        tensors = [library.Input(shape, dtype=TYPES.get(name)) for shape in INPUTS.get(name, small)]
        layer = constructed(library.layers, name)
        pair = name in ("MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention")
        try:
            outputs = layer(*tensors) if pair else layer(tensors if len(tensors) > 1 else tensors[0])
            model = library.Model(tensors, outputs)
        except (ValueError, TypeError):  # the layer itself does not take symbolic tensors
            refused[name] = "Keras"
            continue
        try:
            graph = from_keras(model)
        except TfnasError as error:
            refused[name] = str(error)
            continue
        read += 1
        if graph.total_parameters != model.count_params():
            wrong[name] = graph.total_parameters - model.count_params()
    assert set(wrong) <= set(OTHER_COUNTS), wrong
    assert len(refused) <= 3, refused
    assert not any("\n" in line for line in refused.values())
    assert read > 90
