"""What a user gets after installation: relatives of Keras models in the shipped index."""

import keras
import pytest
import tf_keras

from tests import plain
from tests.graphs.isomorphism import equivalent
from tfnas.graphs.importers.keras_graphs import from_keras
from tfnas.retrieval.index import Index
from tfnas.retrieval.relatives import Retriever
from tfnas.saved_models import SHIPPED


@pytest.fixture(scope="module")
def retriever():
    return Retriever.load()


def bert(layers=3, width=64, heads=4, length=32):
    """An encoder as BERT's: attention, addition, norm; two dense layers, addition, norm."""
    tokens = keras.Input((length,), dtype="int32")
    state = keras.layers.Embedding(1000, width)(tokens)
    state = keras.layers.LayerNormalization()(state)
    for _ in range(layers):
        heard = keras.layers.MultiHeadAttention(heads, width // heads)(state, state)
        state = keras.layers.LayerNormalization()(state + heard)
        hidden = keras.layers.Dense(width, activation=None)(keras.layers.Dense(4 * width, "gelu")(state))
        state = keras.layers.LayerNormalization()(state + hidden)
    return keras.Model(tokens, state)


def families(retriever, model, count, **facts):
    answer = retriever.relatives(from_keras(model, **facts), count)
    return [relative.family for relative in answer.relatives]


def test_size():
    folder = SHIPPED / "architecture_index"
    total = sum(file.stat().st_size for file in folder.rglob("*"))
    assert total < 20e6
    assert len(Index.load(folder)) >= 1000


def test_resnets_first(retriever):
    found = families(retriever, keras.applications.ResNet50V2(weights=None), 10)
    assert all("resnet" in family or family == "bit" for family in found)  # Big Transfer is a ResNetV2


def test_mobile_networks(retriever):
    model = keras.applications.MobileNetV3Small(input_shape=(224, 224, 3), weights=None)
    found = families(retriever, model, 5)
    assert all(family.startswith(("mobilenet", "hardcorenas", "efficientnet", "lcnet")) for family in found)


def test_transformers(retriever):
    found = families(retriever, bert(), 5)
    text = {"bert", "bert-generation", "distilbert", "deberta-v2", "bart", "plbart", "mvp", "roberta", "electra"}
    text |= {
        "roc_bert",
        "blenderbot-small",
        "debertav3",
        "albert",
        "big_bird",
        "ernie",
        "splinter",
        "mbart",
        "camembert",
        "xlm-roberta",
        "data2vec-text",
    }
    assert set(found) <= text


def test_drawn_architectures_have_their_parameters(retriever):
    """The index stores parameters of whole networks; convolutions and dense layers of ResNet50 imply theirs."""
    collection = retriever.index.collection
    for row in range(0, len(collection), 25):
        assert collection.graph(row).total_parameters == collection.parameters[row] > 0
    row = retriever.index.row("tf_keras/ResNet50")
    model = tf_keras.applications.ResNet50(weights=None)
    graph = collection.graph(row)
    assert graph.total_parameters == model.count_params()
    assert equivalent(graph, from_keras(model, name="ResNet50"))


def test_index_answers_without_tfnas(tmp_path):
    script = (
        "import sys, tensorflow as tf\n"
        "index = tf.saved_model.load(sys.argv[1])\n"
        "size = index.embeddings.shape[0]\n"
        "found = index.search(index.embeddings[:1], tf.ones([size], tf.bool), 3)\n"
        "assert found['rows'][0, 0] == 0\n"
        "assert 'tfnas' not in sys.modules"
    )
    plain.run(script, str(SHIPPED / "architecture_index"), folder=tmp_path)
