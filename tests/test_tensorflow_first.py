"""What needs TensorFlow alone works, and leaves the process as it is, whatever the process imported before tfnas."""

import subprocess
import sys

from tests.fork import ROOT

# Keras 3 and tf.keras, which then is Keras 3, are in use before tfnas is imported.
OPENING = """
import os, sys
import keras
import numpy as np
import tensorflow as tf

model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(10)])
assert isinstance(model, tf.keras.Model)
model.save(sys.argv[1])
environment = dict(os.environ)

import tfnas
from tfnas.encoders.arch2vec.saved import SavedCellEncoder
from tfnas.encoders.computation_graph.saved import SavedGraphEncoder
from tfnas.encoders.jacobian.saved import SavedJacobianEncoder
from tfnas.encoders.motif.saved import SavedMotifEncoder
from tfnas.graphs import importers
from tfnas.predictors.saved import SavedPredictor
from tfnas.retrieval.relatives import Retriever

rng = np.random.default_rng(0)
graph = importers.from_file(sys.argv[1])
cells = tfnas.spaces.NASBench201().sample(2, rng)
assert SavedCellEncoder("saved_models/arch2vec_nasbench201").embed(cells).shape == (2, 16)
assert SavedGraphEncoder().embed(graph).shape == (1, 128)
assert SavedMotifEncoder().embed(graph).shape == (1, 1024)
assert len(Retriever.load().relatives(graph, 2)) == 2
assert np.isfinite(SavedPredictor().predict(graph).score)
images = rng.normal(size=(64, 32, 32, 3))
assert SavedJacobianEncoder().embed_model(model, images, initializations=1).shape == (1, 128)
assert not {"tf_keras", "tensorflow_gnn"} & set(sys.modules), "imported"
assert dict(os.environ) == environment, "environment"

from tfnas.graphs import gnn
try:
    gnn.load()
except ImportError as error:
    print(type(error).__name__, error)
"""

LEARNING = """
import os
import tensorflow as tf
environment = dict(os.environ)

import tfnas
from tfnas.encoders import ENCODERS
from tfnas.encoders.arch2vec.model import Arch2Vec
from tfnas.graphs import cells, gnn

space = tfnas.spaces.NASBench201()
model = Arch2Vec(ENCODERS["arch2vec"].preset("tfnas"), space.max_vertices, len(space.operations))
encoded = model(cells.to_graph_tensor(space.enumerate()[:3]))
assert isinstance(encoded, gnn.GraphTensor) and isinstance(model, tf.keras.Model)
assert dict(os.environ) == environment, "environment"
"""


def run(program: str, *arguments: str) -> subprocess.CompletedProcess:
    """A fresh process: forks of the tests' server have imported TF-GNN."""
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done


def test_exports_and_importers_need_no_second_keras(tmp_path):
    output = run(OPENING, str(tmp_path / "model.keras")).stdout
    assert output.startswith("LegacyKerasError tf.keras is Keras 3 in this process")
    assert "TF_USE_LEGACY_KERAS=1" in output


def test_learning_works_after_a_bare_import_of_tensorflow():
    run(LEARNING)
