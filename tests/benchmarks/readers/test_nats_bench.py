"""The converter of NATS-Bench archives, on archives that the official package's classes made."""

import bz2
import pickle

import numpy as np
import pytest
from nats_bench import api_utils as official

from tfnas.benchmarks.readers import nats_bench
from tfnas.benchmarks.table import check_table
from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.spaces import NASBench201, NATSSize

LENGTHS = {"tss": (12, 200), "sss": (1, 12, 90)}


def _dump(path, value):
    path.write_bytes(bz2.compress(pickle.dumps(value, protocol=4)))


def _results(rng, index, name, epochs):
    """`ArchResults` of one architecture with two seeds on CIFAR-10 and one elsewhere."""
    results = official.ArchResults(index, name)
    for data_set, seeds, splits in (
        ("cifar10-valid", (777, 888), ("x-valid", "ori-test")),
        ("cifar10", (888,), ("ori-test",)),
        ("cifar100", (777,), ("x-valid", "x-test", "ori-test")),
        ("ImageNet16-120", (777,), ("x-valid", "x-test", "ori-test")),
    ):
        results.dataset_seed[data_set] = list(seeds)
        for seed in seeds:
            steps = range(epochs)
            trial = official.ResultsCount(
                data_set,
                None,
                {step: float(rng.uniform(10, 99)) for step in steps},
                dict.fromkeys(steps, 1.0),
                float(rng.uniform(0.1, 1.5)),
                np.float64(rng.uniform(10, 200)),
                {"channel": 16},
                seed,
                epochs,
                None,
            )
            trial.reset_pseudo_train_times(float(rng.uniform(1, 30)))
            for split in splits:
                trial.eval_names.append(split)
                for step in steps:
                    trial.eval_acc1es[f"{split}@{step}"] = float(rng.uniform(10, 99))
                    trial.eval_losses[f"{split}@{step}"] = 1.0
            results.all_results[data_set, seed] = trial
    return results


@pytest.fixture(params=["tss", "sss"])
def archive(request, tmp_path):
    """Folder, kind, names, and the results by (index, hp)."""
    rng, kind = np.random.default_rng(0), request.param
    space = {"tss": NASBench201, "sss": NATSSize}[kind]()
    cells = space.enumerate()[:6]
    names = [space.to_string(space.architecture(cells, row)) for row in range(6)]
    _dump(tmp_path / "meta.pickle.pbz2", {"meta_archs": names, "total_archs": 6})
    made = {}
    for index in (0, 1, 2, 4, 5):
        content = {}
        for epochs in LENGTHS[kind]:
            made[index, epochs] = _results(rng, index, names[index], epochs)
            content[f"{epochs:02d}"] = made[index, epochs].state_dict()
            for key, trial in content[f"{epochs:02d}"]["all_results"].items():
                content[f"{epochs:02d}"]["all_results"][key] = dict(trial)
        _dump(tmp_path / f"{index:06d}.pickle.pbz2", content)
    return tmp_path, kind, names, made


def test_answers_of_the_official_classes(archive, tmp_path):
    folder, kind, names, made = archive
    table = nats_bench.convert(folder, tmp_path / "t.npz", kind, allow_pickle=True)
    assert check_table(table)["rows"] == 6
    assert [table.space.to_string(table.architecture(row)) for row in range(6)] == names
    assert table.facts["seeds"]["cifar10"] == [777, 888]
    for (index, epochs), results in made.items():
        for data_set, name, split, quantity in (
            ("cifar10-valid", "cifar10", "x-valid", "validation"),
            ("cifar10-valid", "cifar10", "ori-test", "test"),
            ("cifar10", "cifar10_all", "ori-test", "test"),
            ("cifar100", "cifar100", "x-test", "test"),
            ("ImageNet16-120", "imagenet16_120", "x-valid", "validation"),
        ):
            expected = results.get_metrics(data_set, split, is_random=False)["accuracy"] / 100
            assert table.values(f"{name}_{quantity}_accuracy_{epochs}")[index] == pytest.approx(expected, rel=1e-6)
            train = results.get_metrics(data_set, "train", is_random=False)
            assert table.values(f"{name}_training_seconds_{epochs}")[index] == pytest.approx(
                train["all_time"], rel=1e-5
            )
    assert np.isnan(table.columns["cifar10_test_accuracy_12"][3]).all()
    assert np.isnan(table.columns["cifar10_test_accuracy_12"][:, 2]).all()
    assert np.isfinite(table.columns["cifar10_flops_millions"][[0, 1, 2, 4, 5]]).all()


class Harmful:
    """Pickles to a call that leaves a trace."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_nothing_but_values_is_unpickled(archive, tmp_path):
    folder, kind, *_ = archive
    trace = tmp_path / "trace"
    _dump(folder / "000001.pickle.pbz2", {"12": Harmful(trace)})
    with pytest.raises(CorruptArtefactError, match=r"000001.pickle.pbz2: .*asks for .*open"):
        nats_bench.convert(folder, tmp_path / "t.npz", kind, allow_pickle=True)
    assert not trace.exists()
    assert not (tmp_path / "t.npz").exists()


def test_damaged_and_unasked(archive, tmp_path):
    folder, kind, *_ = archive
    with pytest.raises(ConfigurationError, match="are pickles; allow them"):
        nats_bench.convert(folder, tmp_path / "t.npz", kind)
    with pytest.raises(ConfigurationError, match="unknown archive 'xss'"):
        nats_bench.convert(folder, tmp_path / "t.npz", "xss", allow_pickle=True)
    path = folder / "000002.pickle.pbz2"
    content = path.read_bytes()
    path.write_bytes(content[:-30])
    with pytest.raises(CorruptArtefactError, match="000002"):
        nats_bench.convert(folder, tmp_path / "t.npz", kind, allow_pickle=True)
    _dump(path, {"12": {"all_results": {}}})
    with pytest.raises(CorruptArtefactError, match=r"000002\.pickle\.pbz2: not NATS-Bench results at 12 epochs"):
        nats_bench.convert(folder, tmp_path / "t.npz", kind, allow_pickle=True)
    with pytest.raises(CorruptArtefactError, match=r"meta\.pickle\.pbz2: no such file"):
        nats_bench.convert(tmp_path / "none", tmp_path / "t.npz", kind, allow_pickle=True)
