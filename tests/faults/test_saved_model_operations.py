"""A SavedModel is a program: what may do more than compute is refused before it is loaded."""

import pathlib
import shutil

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

from tests.fork import run
from tfnas import artefacts, encoders
from tfnas.errors import CorruptArtefactError, UntrustedModelError
from tfnas.retrieval.index import Index
from tfnas.saved_model_operations import COMPUTING, foreign_operations
from tfnas.saved_models import SHIPPED, load_module, save_module, shipped_names
from tfnas.serving import Limits, application
from tfnas.serving.models import Model
from tfnas.serving.servable import Servable


def test_shipped_models_only_compute():
    assert {name: foreign_operations(SHIPPED / name) for name in shipped_names()} == {n: [] for n in shipped_names()}


def test_operations_that_hold_state_only_hold_variables():
    """Every other operation of the list is a function of its inputs, as TensorFlow declares it."""
    stateful = {name for name in COMPUTING if op_def_registry.get(name).is_stateful}
    assert stateful == {
        *("Assert", "AssignVariableOp", "DisableCopyOnRead", "If", "ReadVariableOp", "ResourceGather"),
        *("StatefulPartitionedCall", "VarHandleOp", "While"),
    }


def sparse_product(indices, shape=(2, 2), rows=2, entries=2):
    matrix = tf.raw_ops.SparseTensorToCSRSparseMatrix(
        indices=tf.constant(indices, tf.int64), values=tf.ones([entries]), dense_shape=tf.constant(shape, tf.int64)
    )
    return tf.raw_ops.SparseMatrixMatMul(a=matrix, b=tf.ones([rows, 4]))


def sparse_gradient(index, receiver):
    return tf.raw_ops.SparseSegmentSumGrad(
        grad=tf.ones([2, 4]), indices=tf.constant([0, index]), segment_ids=tf.constant([0, receiver]), output_dim0=2
    )


@pytest.mark.parametrize(
    "call",
    [
        *(lambda entry=entry: sparse_product([[0, 0], entry]) for entry in ([1, 10**6], [1, -1], [5, 1], [-3, 1])),
        lambda: sparse_product([[0, 0], [1, 1]], entries=1),
        lambda: sparse_product([[0, 0], [1, 1]], rows=7),
        *(lambda pair=pair: sparse_gradient(*pair) for pair in ((10**6, 1), (-1, 1), (1, 10**6))),
        *(lambda order=order: tf.raw_ops.InvertPermutation(x=order) for order in ([0, 5], [0, -1], [1, 1])),
    ],
)
def test_sparse_operations_refuse_what_lies_outside(call):
    """They are allowed in a SavedModel of strangers, and must not read or write beyond their inputs."""
    assert sparse_product([[0, 0], [1, 1]]).numpy().tolist() == [[1.0] * 4] * 2
    with pytest.raises(tf.errors.InvalidArgumentError):
        call()


class Writer(tf.Module):
    """Writes a file when it is called."""

    def __init__(self, path):
        super().__init__()
        self.number = tf.Variable(1.0)
        self.path = str(path)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")], autograph=False)
    def __call__(self, x):
        def write():
            tf.io.write_file(self.path, "written")
            return tf.constant(1.0)

        return {"y": x * self.number * tf.cond(tf.reduce_sum(x) > 0, write, lambda: tf.constant(2.0))}


@pytest.fixture
def crafted(tmp_path):
    """A folder that claims to be an encoder, with a file operation in the branch of a condition."""
    folder = tmp_path / "crafted"
    folder.mkdir()
    module = Writer(tmp_path / "written")
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.__call__})
    entries = artefacts.read_json(SHIPPED / "cg_encoder" / "manifest.json")
    facts = {name: entries[name] for name in ("embedding_dim", "operators")}
    artefacts.write_manifest(folder, kind="encoder/computation_graph", **facts)
    return folder


def test_a_crafted_model_is_not_loaded(crafted, monkeypatch):
    monkeypatch.setattr(tf.saved_model, "load", lambda *_: pytest.fail("loaded"))
    for load in (load_module, encoders.load, Servable):
        with pytest.raises(UntrustedModelError, match=r"may do more than compute \(WriteFile\).*--trust"):
            load(crafted)


def test_trust_loads_it(crafted):
    assert encoders.load(crafted, trust=True).module is not None
    assert "serving_default" in Servable(crafted, trust=True).metadata()
    assert not (crafted.parent / "written").exists()


def test_a_server_refuses_what_nobody_trusts(crafted):
    done = run("serve", f"--model={crafted}")
    last = done.stderr.splitlines()[-1]
    assert (done.returncode, last[:7], "--trust" in last) == (1, "error: ", True)
    assert application({"crafted": crafted}, trust=True)
    shutil.copytree(crafted, crafted.parent / "versions" / "1")
    model = Model("crafted", crafted.parent / "versions", Limits(), trust=True)
    shutil.copytree(crafted, crafted.parent / "versions" / "2")
    model.reload()
    assert model.version == 2


def test_an_index_is_checked_too(crafted, tmp_path):
    shutil.copytree(SHIPPED / "architecture_index", tmp_path / "index")
    shutil.copy(crafted / "saved_model.pb", tmp_path / "index" / "saved_model.pb")
    entries = artefacts.read_json(tmp_path / "index" / "manifest.json")
    facts = {name: entries[name] for name in ("architectures", "embedding_dim", "encoder")}
    artefacts.write_manifest(tmp_path / "index", kind="architecture_index", **facts)
    with pytest.raises(UntrustedModelError, match="WriteFile"):
        Index.load(tmp_path / "index")
    assert len(Index.load(tmp_path / "index", trust=True)) >= 1763


def test_python_in_a_graph(tmp_path):
    class Caller(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
        def __call__(self, x):
            return tf.py_function(lambda value: value, [x], tf.float32)

    tf.saved_model.save(Caller(), str(tmp_path))
    assert foreign_operations(tmp_path) == ["EagerPyFunc"]


def edited(folder: pathlib.Path, change) -> pathlib.Path:
    """A copy of a shipped model's graph after a change of its declaration."""
    proto = saved_model_pb2.SavedModel.FromString((SHIPPED / "jacobian_encoder" / "saved_model.pb").read_bytes())
    change(proto)
    (folder / "saved_model.pb").write_bytes(proto.SerializeToString())
    return folder


def test_only_the_saver_may_call_what_saves(tmp_path):
    """The saver's function writes files where it is told; nothing else in the graph may refer to the function."""

    def called_in_the_graph(proto):
        graph = proto.meta_graphs[0].graph_def
        saver = proto.meta_graphs[0].saver_def.save_tensor_name.partition(":")[0]
        (node,) = [node for node in graph.node if node.name == saver]
        graph.node.add(name="again", op=node.op).attr["f"].CopyFrom(node.attr["f"])

    def named_by_an_object(proto):
        meta = proto.meta_graphs[0]
        (name,) = [f.signature.name for f in meta.graph_def.library.function if "traced_save" in f.signature.name]
        meta.object_graph_def.nodes.add().bare_concrete_function.concrete_function_name = name

    def saves_elsewhere(proto):
        library = proto.meta_graphs[0].graph_def.library
        library.function[0].node_def.add(name="save", op="SaveV2")

    def another_saver(proto):
        proto.meta_graphs[0].saver_def.save_tensor_name = "nothing:0"

    for change in (called_in_the_graph, named_by_an_object, saves_elsewhere, another_saver):
        assert "SaveV2" in foreign_operations(edited(tmp_path, change)), change.__name__


def test_an_unknown_operation(tmp_path):
    change = lambda proto: proto.meta_graphs[0].graph_def.node.add(name="new", op="NewOperation")  # noqa: E731
    assert foreign_operations(edited(tmp_path, change)) == ["NewOperation"]


def test_declarations_that_are_not_read(tmp_path):
    with pytest.raises(CorruptArtefactError, match=r"no saved_model\.pb"):
        foreign_operations(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"\xff\xff")
    with pytest.raises(CorruptArtefactError, match="not a loadable SavedModel"):
        foreign_operations(tmp_path)
    edited(tmp_path, lambda proto: proto.meta_graphs.add())
    with pytest.raises(CorruptArtefactError, match="not of TensorFlow 2"):
        foreign_operations(tmp_path)
    (tmp_path / "saved_model.cpb").touch()  # which TensorFlow would read instead
    with pytest.raises(CorruptArtefactError, match=r"has saved_model\.cpb"):
        foreign_operations(tmp_path)


def test_our_exports_only_compute(tmp_path):
    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.matrix = tf.Variable(tf.eye(3))

        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "x")])
        def __call__(self, x):
            return {"y": tf.nn.relu(x @ self.matrix)}

    module = Module()
    save_module(module, tmp_path, {"serving_default": module.__call__})
    assert load_module(tmp_path).signatures.keys() == {"serving_default"}
