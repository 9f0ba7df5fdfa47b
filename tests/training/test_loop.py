"""The loop: replicas equal one device, interrupted equals uninterrupted, threads don't matter."""

import shutil

import numpy as np
import pytest
import tensorflow as tf

from tfnas.encoders.arch2vec.config import preset
from tfnas.encoders.arch2vec.task import Arch2VecTask
from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.sealed_lines import LineLog
from tfnas.spaces import NASBench201
from tfnas.training import loop
from tfnas.training.log import MetricsLog, read_metrics
from tfnas.training.strategies import get_strategy

CELLS = NASBench201().enumerate()[:250]
SMALL = {"hidden_dims": (8,), "embedding_dim": 4, "decoder_dim": 4}


def make_task(strategy, epochs, **changes):
    with strategy.scope():
        config = preset("tfnas", **(SMALL | changes))
        return Arch2VecTask(config, NASBench201(), CELLS[:210], CELLS[210:], 1, epochs)


def run(folder, strategy=None, epochs=3, resume=False, **changes):
    strategy = strategy or get_strategy("default")
    task = make_task(strategy, 3, **changes)
    config = loop.TrainingConfig(epochs, batch_size=32, seed=5, clip_norm=1.0, steps_per_call=3)
    folder.mkdir(exist_ok=True)
    loop.train(task, config, folder, strategy, resume=resume)
    return [v.numpy() for v in task.model.variables]


@pytest.fixture(autouse=True, scope="module")
def few_samples():
    """Hundreds of prior samples are judged after an epoch, which is quicker than thousands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfnas.encoders.arch2vec.task.NUM_SAMPLES", 300)
        yield


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory):
    """Folder and weights of a run of three epochs: at its end, after its first epoch, and in the middle of that epoch.

    The loop saves after every call, of which an epoch has three; a kill after a save leaves what the folder holds then.
    """
    folder, save, found = tmp_path_factory.mktemp("whole"), tf.train.CheckpointManager.save, []

    def watched(manager, *arguments, **options):
        path = save(manager, *arguments, **options)
        if len(found) < 3:
            shutil.copytree(folder, copy := tmp_path_factory.mktemp("copies") / "folder")
            found.append((copy, [variable.numpy() for variable in manager.checkpoint.model.variables]))
        return path

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.train.CheckpointManager, "save", watched)
        patch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
        weights = run(folder)
    _, middle, first_epoch = found
    return {"whole": (folder, weights), "first epoch": first_epoch, "middle": middle}


@pytest.fixture(scope="module")
def whole(snapshots):
    """Folder and weights of a run of three epochs that nothing interrupted."""
    return snapshots["whole"]


@pytest.fixture(scope="module")
def first_epoch(snapshots):
    """Folder and weights of a run after one epoch; copy the folder to go on."""
    return snapshots["first epoch"]


def test_two_replicas_equal_one_device(first_epoch, tmp_path, two_replicas):
    """The same global batches (the last one short) give the same losses and weights up to rounding."""
    folder, one = first_epoch
    two = run(tmp_path / "two", two_replicas, epochs=1)
    for first, second in zip(one, two, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-3)  # Adam magnifies the rounding of zero gradients
    losses = [read_metrics(path / "metrics.jsonl")[0]["loss"] for path in (folder, tmp_path / "two")]
    np.testing.assert_allclose(*losses, rtol=1e-4)


@pytest.mark.slow  # the encoders' own tests resume after an epoch too
def test_resumed_run_equals_uninterrupted_run(whole, first_epoch, tmp_path):
    shutil.copytree(first_epoch[0], tmp_path / "parts")
    resumed = run(tmp_path / "parts", resume=True)
    for first, second in zip(whole[1], resumed, strict=True):
        np.testing.assert_array_equal(first, second)
    assert read_metrics(whole[0] / "metrics.jsonl") == read_metrics(tmp_path / "parts" / "metrics.jsonl")


def test_interrupted_in_the_middle_of_an_epoch(whole, snapshots, tmp_path):
    """A checkpoint between two calls of one epoch carries order, noise and running sums."""
    shutil.copytree(snapshots["middle"][0], tmp_path / "parts")
    assert not read_metrics(tmp_path / "parts" / "metrics.jsonl")
    resumed = run(tmp_path / "parts", resume=True)
    for first, second in zip(whole[1], resumed, strict=True):
        np.testing.assert_array_equal(first, second)
    assert read_metrics(whole[0] / "metrics.jsonl") == read_metrics(tmp_path / "parts" / "metrics.jsonl")


@pytest.mark.slow
def test_published_code_stops_its_noise_after_an_epoch(tmp_path):
    """Later epochs run in inference mode: batch-norm statistics stay as they are."""
    task = make_task(get_strategy("default"), 3, training_mode_epochs=1)
    assert [task.training_mode(epoch) for epoch in (1, 2, 3)] == [True, False, False]
    run(tmp_path / "a", epochs=1, training_mode_epochs=1)
    moving = run(tmp_path / "a", epochs=1, resume=True, training_mode_epochs=1)
    later = run(tmp_path / "a", epochs=3, resume=True, training_mode_epochs=1)
    names = [v.name for v in task.model.variables]
    for name, before, after in zip(names, moving, later, strict=True):
        if "moving" in name:
            np.testing.assert_array_equal(before, after)
    assert any((before != after).any() for before, after in zip(moving, later, strict=True))


def test_training_learns(whole):
    losses = [record["loss"] for record in read_metrics(whole[0] / "metrics.jsonl")]
    assert losses[-1] < losses[1] < losses[0]


def test_damaged_checkpoint(first_epoch, tmp_path):
    shutil.copytree(first_epoch[0], tmp_path / "a")
    for index in (tmp_path / "a" / "checkpoints").glob("*.index"):
        index.write_bytes(index.read_bytes()[:40])
    with pytest.raises(CorruptArtefactError, match="checkpoint"):
        run(tmp_path / "a", resume=True)


def test_batch_that_can_not_be_split(tmp_path, two_replicas):
    config = loop.TrainingConfig(epochs=1, batch_size=33, seed=0)
    with pytest.raises(ConfigurationError, match="33 can't be split over 2"):
        loop.train(make_task(two_replicas, 1), config, tmp_path, two_replicas)


def test_unknown_strategy():
    with pytest.raises(ConfigurationError, match="default, mirrored, multi_worker"):
        get_strategy("tpu_pod")


def test_log_drops_a_torn_line_and_later_epochs(tmp_path):
    log = MetricsLog(tmp_path)
    log.write(1, {"loss": 2.0})
    log.write(2, {"loss": 1.0})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "lo')
    MetricsLog(tmp_path, resume_after=1)
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"epoch": 1, "loss": 2.0}]
    with pytest.raises(CorruptArtefactError, match="lacks epoch 2, which the checkpoint holds"):
        MetricsLog(tmp_path, resume_after=3)


def test_log_of_other_epochs(tmp_path):
    LineLog(tmp_path / "metrics.jsonl", [{"epoch": 1}, {"epoch": 3}])
    with pytest.raises(CorruptArtefactError, match="line 2: of another epoch than 2"):
        MetricsLog(tmp_path, resume_after=1)
