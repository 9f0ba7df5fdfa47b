"""Exported encoders: signatures, plain TensorFlow, tables that belong to their encoder."""

import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial.distance import pdist

from tests import plain
from tests.encoders.test_arch2vec import small_model
from tfnas import artefacts
from tfnas.encoders.arch2vec import saved
from tfnas.encoders.arch2vec.export import export
from tfnas.errors import CorruptArtefactError, MismatchError
from tfnas.graphs import cells as cell_graphs
from tfnas.spaces import Darts, NASBench201

SPACE = NASBench201()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "encoder"
    model = small_model("tfnas", SPACE)
    export(model, SPACE, folder, seed=1)
    return folder, model


def test_embeds_as_the_model_does(exported, rng):
    folder, model = exported
    cells = SPACE.sample(5000, rng)  # more than one chunk
    expected, _ = model.embed(cells.one_hot(7), cells.adjacency.astype(np.float32))
    encoder = saved.SavedCellEncoder(folder)
    np.testing.assert_allclose(encoder.embed(cells), expected, atol=1e-5)
    np.testing.assert_allclose(encoder.embed(cells[:3]), expected[:3], atol=1e-5)
    assert encoder.embed(cells[:0]).shape == (0, 4)


def test_signatures(exported, rng):
    folder, model = exported
    cells = SPACE.sample(4, rng)
    ops, adjacency = cells.one_hot(7), cells.adjacency.astype(np.float32)
    module = tf.saved_model.load(str(folder))
    assert set(module.signatures) == {"serving_default", "encode", "encode_examples", "decode"}
    dense = module.signatures["encode"](ops=tf.constant(ops), adjacency=tf.constant(adjacency))
    assert {name: tuple(value.shape) for name, value in dense.items()} == {
        "embedding": (4, 4),
        "mean": (4, 8, 4),
        "log_variance": (4, 8, 4),
    }
    posterior = model.encode(ops, adjacency)
    np.testing.assert_allclose(dense["log_variance"], 2 * posterior.log_stddev, atol=1e-6)
    examples = [
        cell_graphs.to_example(cells.operations[i], cells.adjacency[i], i).SerializeToString() for i in range(4)
    ]
    parsed = module.signatures["encode_examples"](examples=tf.constant(examples))
    for name, value in dense.items():
        np.testing.assert_allclose(parsed[name], value, atol=1e-6)
    decoded = module.signatures["decode"](latent=dense["mean"])
    np.testing.assert_allclose(tf.reduce_sum(decoded["operations"], -1), np.ones((4, 8)), atol=1e-5)
    assert not np.tril(decoded["adjacency"]).any()


def test_runs_where_only_tensorflow_is(exported):
    """A process that can't import tfnas or tensorflow_gnn loads the model and gets the same embedding."""
    folder, model = exported
    program = """
import sys
sys.modules["tfnas"] = sys.modules["tensorflow_gnn"] = None
import numpy as np, tensorflow as tf
encode = tf.saved_model.load(sys.argv[1]).signatures["encode"]
ops = tf.one_hot([[0, 1, 2, 3, 4, 5, 1, 6]], 7)
adjacency = tf.linalg.band_part(tf.ones([1, 8, 8]), 0, -1) - tf.eye(8)
print(encode(ops=ops, adjacency=adjacency)["embedding"].numpy().tolist())
"""
    printed = plain.run(program, str(folder), folder=folder.parent)
    ops = tf.one_hot([[0, 1, 2, 3, 4, 5, 1, 6]], 7)
    expected, _ = model.embed(ops, np.triu(np.ones((1, 8, 8), np.float32), 1))
    np.testing.assert_allclose(eval(printed), expected, atol=1e-6)


def test_damaged_model(exported, tmp_path):
    for name in ("saved_model.pb", "variables/variables.data-00000-of-00001", "variables/variables.index"):
        folder = tmp_path / name.replace("/", "_")
        shutil.copytree(exported[0], folder)
        (folder / name).write_bytes((folder / name).read_bytes()[:-1])
        with pytest.raises(CorruptArtefactError, match=name.split("/")[-1]):
            saved.SavedCellEncoder(folder)


def test_table_belongs_to_its_encoder(exported, tmp_path, rng):
    encoder = saved.SavedCellEncoder(exported[0])
    cells = SPACE.sample(10, rng)
    values = encoder.embed(cells)
    saved.write_embedding_table(tmp_path / "table", encoder, cells, values)
    read_cells, read_values = saved.read_embedding_table(tmp_path / "table", encoder)
    np.testing.assert_array_equal(read_values, values)
    np.testing.assert_array_equal(read_cells.operations, cells.operations)

    export(small_model("tfnas", SPACE, seed=2), SPACE, tmp_path / "other")
    with pytest.raises(MismatchError, match=r"run `tfnas embed` again"):
        saved.read_embedding_table(tmp_path / "table", saved.SavedCellEncoder(tmp_path / "other"))
    values[3, 1] = np.nan
    saved.write_embedding_table(tmp_path / "table", encoder, cells, values)
    with pytest.raises(CorruptArtefactError, match="row 3 holds NaN"):
        saved.read_embedding_table(tmp_path / "table", encoder)


def test_wrong_space_and_wrong_artefact(exported, tmp_path):
    with pytest.raises(MismatchError, match="an encoder of nasbench201, expected one of darts"):
        saved.SavedCellEncoder(exported[0]).check_space(Darts())
    artefacts.write_manifest(tmp_path, kind="something")
    with pytest.raises(CorruptArtefactError, match=r"expected .* 'encoder/arch2vec', found 'something'"):
        saved.SavedCellEncoder(tmp_path)


@pytest.mark.parametrize("space", ["nasbench101", "nasbench201", "darts"])
def test_shipped_encoders(space, small_nasbench101, rng):
    """Intact, and able to tell all cells apart, those that differ in the direction of an edge included."""
    folder = pathlib.Path(__file__).parents[2] / "saved_models" / f"arch2vec_{space}"
    encoder = saved.SavedCellEncoder(folder)
    space = {"nasbench101": small_nasbench101, "nasbench201": SPACE, "darts": Darts()}[space]
    cells = space.sample(1000, rng)
    values = encoder.embed(cells)
    assert values.shape == (1000, 16)
    latents = encoder.latents(cells).reshape(1000, space.max_vertices, 16)
    np.testing.assert_allclose((latents * cells.vertex_mask[..., None]).sum(axis=1), values, atol=1e-3)
    assert pdist(values).min() > 1e-3
    assert (folder / "README.md").exists()
