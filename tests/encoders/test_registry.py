"""What holds for every encoder: settings, presets, exports that say what they are, runs that can be exported."""

import dataclasses
import math
import re

import numpy as np
import pytest
import tensorflow as tf

from tests.encoders.test_jacobian import make_corpus
from tests.fork import ROOT
from tfnas import artefacts, encoders
from tfnas.corpora import graphs as graph_corpora
from tfnas.encoders import ENCODERS, base, runs
from tfnas.encoders.arch2vec.config import Arch2VecInputs
from tfnas.encoders.arch2vec.saved import SavedCellEncoder
from tfnas.encoders.computation_graph.saved import SavedGraphEncoder
from tfnas.encoders.jacobian.task import JacobianPretraining
from tfnas.encoders.pretraining import Learning, Pretraining
from tfnas.encoders.settings import Corpora
from tfnas.errors import ConfigurationError, CorruptArtefactError, InvalidArchitectureError
from tfnas.graphs.operators import CODES
from tfnas.graphs.packed import pack
from tfnas.networks import symbolic
from tfnas.saved_models import SHIPPED
from tfnas.spaces import NASBench201
from tfnas.training import loop
from tfnas.training.log import MetricsLog

SPACE = NASBench201()
SMALL = {
    "arch2vec": {"hidden_dims": (8,), "embedding_dim": 4, "decoder_dim": 4},
    "computation_graph": {"width": 8, "layers": 2, "embedding_dim": 8, "batch_size": 8},
    "jacobian": {"width": 8, "embedding_dim": 8, "batch_size": 8},
    "motif": {"width": 8, "embedding_dim": 8, "neighbourhood_width": 48, "batch_size": 8},
}


def graphs():
    cells = SPACE.enumerate()
    return [
        symbolic.build(SPACE, SPACE.architecture(cells, 600 * row), name=str(row), family="ab"[row % 2])
        for row in range(24)
    ]


@pytest.mark.parametrize("kind", ENCODERS.values(), ids=list(ENCODERS))
def test_a_row_is_whole(kind):
    assert kind.name == kind.saved.KIND.removeprefix(base.KIND_PREFIX)
    assert kind.kind == kind.saved.KIND
    assert issubclass(kind.pretraining, Learning)
    assert issubclass(kind.pretraining, Pretraining) == (kind.epochs is not None)
    assert issubclass(kind.saved, base.SavedEncoder)
    assert {type(preset) for preset in kind.presets.values()} == {kind.config}
    assert kind.preset("tfnas") == kind.config()
    names = {field.name for field in dataclasses.fields(kind.config)}
    checks = (*kind.config.CHOICES, *kind.config.AT_LEAST_ONE, *kind.config.NOT_NEGATIVE)
    assert names >= {*checks, *kind.config.POSITIVE, *kind.config.SHARES}


@pytest.mark.parametrize("kind", ENCODERS.values(), ids=list(ENCODERS))
def test_unknown_presets_and_fields_out_of_range(kind):
    with pytest.raises(ConfigurationError, match=f"unknown preset 'magic', expected one of {', '.join(kind.presets)}"):
        kind.preset("magic")
    with pytest.raises(ConfigurationError, match="embedding_dim=0, expected at least 1"):
        kind.preset("tfnas", embedding_dim=0)
    if kind.epochs is None:
        return
    for field, value, expected in (
        ("clip_norm", -1.0, "at least 0"),
        ("clip_norm", math.nan, "at least 0"),
        ("batch_size", 0, "at least 1"),
        ("learning_rate", 0.0, "more than 0"),
    ):
        with pytest.raises(ConfigurationError, match=f"{field}={value}, expected {expected}"):
            kind.preset("tfnas", **{field: value})


def test_the_table_of_encoders_is_the_registry():
    text = (ROOT / "docs" / "encoders" / "index.md").read_text()
    table = re.findall(r"^\| `(\w+)` \| (.+?) \| \[.+?\]\((\w+)\.md\) \| (.+) \|$", text, re.MULTILINE)
    assert [(name, summary) for name, summary, *_ in table] == [(row.name, row.summary) for row in ENCODERS.values()]
    for name, _, folder, shipped in table:
        assert folder == name
        for encoder in re.findall(r"`(\w+)`", shipped):
            assert encoders.kind_of(SHIPPED / encoder) is ENCODERS[name]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("arch2vec_nasbench201", "arch2vec"),
        ("colour_encoder", "colour"),
        ("cg_encoder", "computation_graph"),
        ("jacobian_encoder", "jacobian"),
        ("motif_encoder", "motif"),
    ],
)
def test_a_folder_says_what_it_holds(name, kind):
    encoder = encoders.load(SHIPPED / name)
    assert type(encoder) is ENCODERS[kind].saved
    assert len(encoder.fingerprint) == 64


def test_another_kind_of_encoder_is_named():
    with pytest.raises(CorruptArtefactError, match=r"'encoder/arch2vec', found 'encoder/computation_graph'"):
        SavedCellEncoder(SHIPPED / "cg_encoder")
    with pytest.raises(CorruptArtefactError, match=r"'encoder/computation_graph', found 'encoder/motif'"):
        SavedGraphEncoder(SHIPPED / "motif_encoder")
    with pytest.raises(CorruptArtefactError, match=r"expected an encoder \(.*\), found a 'predictor/"):
        encoders.load(SHIPPED / "cg_predictor")


def test_a_manifest_without_an_entry(tmp_path):
    artefacts.write_manifest(tmp_path, kind="encoder/arch2vec", embedding_dim=3)
    with pytest.raises(CorruptArtefactError, match=r"manifest.json: manifest\['num_vertices'\] is missing"):
        encoders.load(tmp_path)


@pytest.mark.parametrize("name", ["cg_encoder", "colour_encoder", "motif_encoder"])
def test_operators_of_other_graphs_do_not_count(name):
    """A slice keeps the table of features of all graphs; only what its nodes refer to can be unknown."""
    encoder = encoders.load(SHIPPED / name)
    known = graphs()[:2]
    newest = len(encoder.manifest["operators"]) - 1
    operators = known[0].operators.copy()
    operators[1] = newest
    packed = pack([known[1], known[0].replace(operators=operators)])
    encoder.manifest["operators"] = encoder.manifest["operators"][:newest]
    assert newest > max(CODES[name] for name in ("conv", "relu"))
    np.testing.assert_array_equal(encoder.embed(packed[[0]]), encoder.embed([known[1]]))
    with pytest.raises(InvalidArchitectureError, match="trained before there was an operator"):
        encoder.embed(packed)


def inputs_of(name, folder):
    """Training data of an encoder on disk."""
    if name == "arch2vec":
        return Arch2VecInputs("nasbench201")
    graph_corpora.write_graphs(folder / "graphs", graphs(), num_shards=2)
    return Corpora((str(folder / "graphs"),))


def small_pretraining(name, folder, monkeypatch):
    """Training data of an encoder, and its pretraining on them."""
    config = ENCODERS[name].preset("tfnas", **SMALL[name])
    if name == "jacobian":
        monkeypatch.setattr("tfnas.encoders.jacobian.task.load", lambda folder: make_corpus())
        inputs = Corpora(("jacobians",))
        return inputs, JacobianPretraining.read(config, inputs, 1)
    inputs = inputs_of(name, folder)
    pretraining = ENCODERS[name].pretraining.read(config, inputs, 1)
    if name == "arch2vec":
        pretraining = type(pretraining)(config, SPACE, pretraining.cells[:200])
    return inputs, pretraining


def operations(pretraining):
    """Names of all operations of the compiled updates."""
    schedule = pretraining.schedule(2, 1)
    task = pretraining.task(pretraining.stages[0], None, 1, 2, 1)
    program = loop.compile_steps(task, schedule, tf.distribute.get_strategy(), 2, True)
    task.optimizer.build(task.model.trainable_variables)
    rows, weights = (tf.constant(values[:2]) for values in loop.epoch_batches(task.num_examples, schedule, 1))
    draws = task.draw(tf.constant([1, 1]), 2, schedule.batch_size)
    definition = program.get_concrete_function(rows, weights, draws, tf.constant(2)).graph.as_graph_def()
    # The number of a function counts what the process traced; it names no operation inside.
    bodies = [node.name for function in definition.library.function for node in function.node_def]
    return sorted(re.sub(r"while_(cond|body)_\d+", r"while_\1", name) for name in bodies)


@pytest.mark.parametrize("name", [name for name, kind in ENCODERS.items() if kind.epochs is not None])
def test_a_program_is_the_same_whatever_was_built_before(name, tmp_path, monkeypatch):
    """TensorFlow adds up gradients in the order of names, so that a name with a count would change the last bits."""
    pretraining = small_pretraining(name, tmp_path, monkeypatch)[1]
    first = operations(pretraining)
    assert len(first) > 100
    assert operations(pretraining) == first


@pytest.mark.parametrize(
    "name",
    [
        name if name == "motif" else pytest.param(name, marks=pytest.mark.slow)  # motif has several stages
        for name, kind in ENCODERS.items()
        if kind.epochs is not None
    ],
)
def test_export_of_a_killed_run(name, tmp_path, monkeypatch):
    """A run that dies while it logs its second epoch exports the weights of its last checkpoint."""
    kind = ENCODERS[name]
    inputs, pretraining = small_pretraining(name, tmp_path, monkeypatch)
    config = pretraining.config
    settings = {"program": kind.program, **pretraining.settings(inputs), "epochs": 3, "seed": 1}
    run_dir = artefacts.prepare_output_folder(tmp_path / "run", {**settings, "config": dataclasses.asdict(config)})
    with pytest.raises(CorruptArtefactError, match="holds no checkpoint"):
        runs.read_run(run_dir)
    write = MetricsLog.write

    def killed(self, epoch, values):
        if epoch == 2:
            raise KeyboardInterrupt
        write(self, epoch, values)

    with monkeypatch.context() as patch:
        patch.setattr(MetricsLog, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            pretraining.train(run_dir, epochs=3, seed=1)
    (tmp_path / "out").mkdir()
    summary = runs.export_checkpoint(runs.read_run(run_dir), tmp_path / "out")
    assert (summary["epoch"], summary["steps_beyond_epoch"], summary["seed"]) == (1, 0, 1)
    for file in ("training.png", "metrics.jsonl", "summary.json"):
        assert (tmp_path / "out" / file).stat().st_size
    encoder = encoders.load(tmp_path / "out" / "encoder")
    assert type(encoder) is kind.saved
    weights = tf.train.load_checkpoint(
        tf.train.latest_checkpoint(str(run_dir / pretraining.stages[-1] / "checkpoints"))
    )
    total = sum(
        float(np.abs(weights.get_tensor(key)).sum())
        for key in weights.get_variable_to_shape_map()
        if key.startswith("model/") and "OPTIMIZER_SLOT" not in key
    )
    exported = sum(float(np.abs(variable.numpy()).sum()) for variable in encoder.module.weights)
    np.testing.assert_allclose(exported, total, rtol=1e-5)


def test_a_run_in_closed_form_has_no_checkpoints(tmp_path):
    artefacts.write_json(tmp_path / "run.json", {"settings": {"program": ENCODERS["colour"].program}})
    with pytest.raises(
        CorruptArtefactError, match="a colour encoder is computed in closed form: it has no checkpoints"
    ):
        runs.read_run(tmp_path)


def test_runs_of_other_programs(tmp_path):
    artefacts.write_json(tmp_path / "run.json", {"settings": {"program": "search"}})
    with pytest.raises(CorruptArtefactError, match=r"not an output folder of `tfnas pretrain`"):
        runs.read_run(tmp_path)
