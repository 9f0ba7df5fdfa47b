"""The experiments of retrieval: synthetic lineages, baselines, measurements, one small run of everything."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.metrics.pairwise import cosine_similarity

from reproductions import processes
from reproductions.registry import PAPERS
from reproductions.retrieval import data, methods
from reproductions.retrieval.methods import BASELINES, Job
from reproductions.retrieval.nas import SPACES, lineages
from reproductions.retrieval.settings import Settings
from tfnas.encoders.motif.config import preset
from tfnas.encoders.splits import random_split
from tfnas.graphs.motifs.weisfeiler_lehman import colour_counts, hashed_colours
from tfnas.retrieval import metrics


@pytest.fixture(scope="module")
def nas():
    return lineages(5, 4, 3)


def test_lineages(nas):
    assert len(nas) == 100
    assert sorted(set(nas.families.tolist())) == sorted(f"{space}-{number}" for space in SPACES for number in range(5))
    assert nas.names[5] == "nasbench101-1/1"
    again = lineages(5, 4, 3)
    np.testing.assert_array_equal(again.graphs.codes, nas.graphs.codes)
    assert len(lineages(5, 4, 4).graphs.codes) != len(nas.graphs.codes)
    assert len(nas.distinct()) > 90


@pytest.mark.parametrize("name", list(BASELINES))
def test_baselines_measure_like_dense_vectors(nas, name):
    split = random_split(nas.families, 0)
    settings = Settings()
    features = BASELINES[name](nas, np.flatnonzero(split.train))
    found = data.measure(features, nas, split, settings)
    dense = features.toarray() if scipy.sparse.issparse(features) else features
    again = data.measure(dense, nas, split, settings)
    for kind in ("architectures", "families"):
        assert found[kind] == pytest.approx(again[kind], abs=0.01)  # equal similarities are ordered by rounding
    database = np.flatnonzero(~split.queries)
    asked = np.random.default_rng(settings.seed).permutation(np.flatnonzero(split.unseen))
    own = np.searchsorted(database, asked)
    labels = nas.families
    similarities = cosine_similarity(dense[asked], dense[database])
    direct = metrics.evaluate(similarities, labels[asked], labels[database], data.COUNTS, own)
    assert again["families"] == pytest.approx(direct, abs=1e-9)


def test_hashed_colours_approach_the_shares_of_colours(nas):
    wide = hashed_colours(nas.graphs, 1, 1 << 16)
    sets = [matrix.toarray() > 0 for matrix in colour_counts(nas.graphs, 1)[0]]
    expected = np.mean(
        [part.astype(float) @ part.T / np.sqrt(np.outer(part.sum(1), part.sum(1))) for part in sets], axis=0
    )
    np.testing.assert_allclose(wide @ wide.T, expected, atol=0.02)
    np.testing.assert_allclose(np.linalg.norm(wide, axis=1), 1, atol=1e-5)


def test_a_source_that_nothing_is_trained_on(nas):
    split = methods.without_source(nas, "enas")
    assert (nas.sources[split.queries] == "enas").all()
    assert (split.train == ~split.queries).all()
    families = nas.graphs[split.train].with_own_families().families
    assert len(families) == 20
    assert not any(family.startswith("enas") for family in families)


def test_a_training_is_measured_and_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "run", lambda function, jobs, *_: [function(job) for job in jobs])
    monkeypatch.setattr(processes, "quiet", lambda folder: folder.mkdir(parents=True, exist_ok=True))
    settings = Settings(lineages=4, descendants=4, trainings=1, epochs=(1, 1, 1))
    config = preset("tfnas", width=8, embedding_dim=8, neighbourhood_width=48, batch_size=8)
    jobs = [Job("nas", label, config, 1, epochs, tmp_path / "run", settings) for label, epochs in (("a", 0), ("b", 1))]
    found = methods.measured(tmp_path, jobs, "Jobs")
    assert found[0] != found[1]
    assert 0 < found[1]["families"]["map@20"] <= 1
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").glob("*.json")}
    assert methods.measured(tmp_path, jobs, "Jobs") == found
    assert {path: path.stat().st_mtime_ns for path in files} == files


@pytest.mark.data
@pytest.mark.slow
def test_every_experiment_writes_its_table(tmp_path):
    settings = Settings(lineages=20, descendants=4, trainings=1, epochs=(1, 1, 1))
    for name in PAPERS["retrieval"].experiments:
        PAPERS["retrieval"].run(name, tmp_path, settings)
        assert (tmp_path / f"{name}.md").read_text().count("|") > 50
    assert (tmp_path / "table1.png").exists()
