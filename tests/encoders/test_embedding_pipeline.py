"""Embedding shards: equal to the encoder's own, resumed, refused."""

import json

import numpy as np
import pytest

from tfnas import artefacts
from tfnas.corpora import cells as cell_corpora
from tfnas.corpora import graphs as graph_corpora
from tfnas.encoders.arch2vec.saved import SavedCellEncoder
from tfnas.encoders.computation_graph.saved import SavedGraphEncoder
from tfnas.encoders.corpus import check, embed_corpus, read_embeddings
from tfnas.encoders.jacobian import config as jacobian_config
from tfnas.encoders.jacobian import corpus as jacobian_corpus
from tfnas.encoders.jacobian import saved
from tfnas.encoders.jacobian.data_config import JacobianConfig
from tfnas.encoders.jacobian.export import export
from tfnas.encoders.jacobian.model import JacobianEncoder
from tfnas.encoders.motif.saved import SavedMotifEncoder
from tfnas.errors import ConfigurationError, CorruptArtefactError, MismatchError
from tfnas.graphs.packed import pack
from tfnas.networks import symbolic
from tfnas.saved_models import SHIPPED
from tfnas.spaces import NASBench201, NATSSize

IN_MEMORY = ["--runner=DirectRunner", "--direct_running_mode=in_memory"]
SPACE = NASBench201()
CELLS = SPACE.enumerate()[::50]


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells") / "corpus"
    cell_corpora.write_cells(folder, SPACE, CELLS, num_shards=3)
    return folder


def joined(folder, count):
    shards = list(read_embeddings(folder))
    rows = np.concatenate([rows for rows, _ in shards])
    assert sorted(rows.tolist()) == list(range(count))
    return np.concatenate([values for _, values in shards])[np.argsort(rows)]


def test_cells_as_the_encoder_embeds_them_in_two_processes(cells, tmp_path):
    summary = embed_corpus(SHIPPED / "arch2vec_nasbench201", cells, tmp_path, batch_size=64, num_workers=2)
    assert (summary["architectures"], summary["embedded_now"]) == (len(CELLS), len(CELLS))
    expected = SavedCellEncoder(SHIPPED / "arch2vec_nasbench201").embed(CELLS)
    np.testing.assert_allclose(joined(tmp_path / "embeddings", len(CELLS)), expected, atol=1e-5)


def test_graphs_as_the_encoder_embeds_them(tmp_path):
    graphs = [symbolic.build(SPACE, SPACE.architecture(CELLS, row)) for row in range(40)]
    graph_corpora.write_graphs(tmp_path / "corpus", graphs, num_shards=4)
    embed_corpus(SHIPPED / "cg_encoder", tmp_path / "corpus", tmp_path, batch_size=7, beam_options=IN_MEMORY)
    expected = SavedGraphEncoder(SHIPPED / "cg_encoder").embed(pack(graphs))
    np.testing.assert_allclose(joined(tmp_path / "embeddings", 40), expected, atol=1e-5)


def test_graphs_as_the_motif_encoder_embeds_them(tmp_path):
    graphs = [symbolic.build(SPACE, SPACE.architecture(CELLS, row)) for row in range(20)]
    graph_corpora.write_graphs(tmp_path / "corpus", graphs, num_shards=2)
    embed_corpus(SHIPPED / "motif_encoder", tmp_path / "corpus", tmp_path, batch_size=7, beam_options=IN_MEMORY)
    expected = SavedMotifEncoder(SHIPPED / "motif_encoder").embed(graphs)
    np.testing.assert_allclose(joined(tmp_path / "embeddings", 20), expected, atol=1e-5)


def test_jacobians_as_the_encoder_embeds_them(tmp_path):
    """Means over initialisations; a corpus of other projections is refused before anything is embedded."""
    rng = np.random.default_rng(0)
    space = NATSSize()
    config = JacobianConfig(initializations=2, components=3, shard_size=4)
    images = rng.normal(size=(4, 8, 8, 3)).astype(np.float32)
    jacobian_corpus.extract(space, space.sample(6, rng), images, config, tmp_path / "corpus", seed=1)
    corpus = jacobian_corpus.load(tmp_path / "corpus")
    settings = jacobian_config.preset("tfnas", width=8, embedding_dim=8)
    model = JacobianEncoder(settings, 4, 3, corpus.frequencies.shape[-1], 0)
    export(model, tmp_path / "encoder", corpus)
    summary = embed_corpus(tmp_path / "encoder", tmp_path / "corpus", tmp_path, beam_options=IN_MEMORY)
    assert (summary["architectures"], summary["embedding_dim"]) == (6, 8)
    expected = saved.SavedJacobianEncoder(tmp_path / "encoder").embed(corpus).mean(axis=1)
    np.testing.assert_allclose(joined(tmp_path / "embeddings", 6), expected, atol=1e-5)
    with pytest.raises(MismatchError, match="components=3, expected the encoder's components=64"):
        check(SHIPPED / "jacobian_encoder", tmp_path / "corpus")


def test_only_missing_shards_are_done(cells, tmp_path):
    encoder = SHIPPED / "arch2vec_nasbench201"
    embed_corpus(encoder, cells, tmp_path, beam_options=IN_MEMORY)
    whole = tmp_path / "embeddings"
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in whole.glob("*.npz")}
    lost = whole / "embeddings-00001-of-00003.npz"
    lost.unlink()
    summary = embed_corpus(encoder, cells, tmp_path, beam_options=IN_MEMORY)
    assert summary["embedded_now"] == len(range(1, len(CELLS), 3))
    for path in whole.glob("*.npz"):
        time, content = before[path.name]
        assert path.read_bytes() == content
        assert (path.stat().st_mtime_ns == time) == (path != lost)


def test_damage_is_noticed(cells, tmp_path):
    encoder = SHIPPED / "arch2vec_nasbench201"
    for name in ("corpus", "out"):
        (tmp_path / name).mkdir()
    for path in cells.iterdir():
        (tmp_path / "corpus" / path.name).write_bytes(path.read_bytes())
    shard = next((tmp_path / "corpus").glob("*00002-of*"))
    content = bytearray(shard.read_bytes())
    content[200] ^= 1
    shard.write_bytes(content)
    for options in ({"beam_options": IN_MEMORY}, {"num_workers": 2}):
        with pytest.raises(CorruptArtefactError, match=f"{shard.name}: content differs"):
            embed_corpus(encoder, tmp_path / "corpus", tmp_path / "out", **options)
    assert not (tmp_path / "out" / "embeddings" / "manifest.json").exists()
    with pytest.raises(CorruptArtefactError, match=r"manifest.json: no such file"):
        list(read_embeddings(tmp_path / "out" / "embeddings"))
    shard.write_bytes((cells / shard.name).read_bytes())
    for done in (tmp_path / "out" / "embeddings").glob("*.npz"):
        done.unlink()
    manifest = artefacts.read_json(tmp_path / "corpus" / "manifest.json")
    del manifest["entries_sha256"]
    manifest["records"][0] += 1
    (tmp_path / "corpus" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CorruptArtefactError, match=r"records .* and total .* do not agree"):
        embed_corpus(encoder, tmp_path / "corpus", tmp_path / "out", beam_options=IN_MEMORY)
    manifest["total"] += 1
    count = len(manifest["records"])
    manifest["records"] = [len(range(shard, manifest["total"], count)) for shard in range(count)]
    (tmp_path / "corpus" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CorruptArtefactError, match="records, the manifest says"):
        embed_corpus(encoder, tmp_path / "corpus", tmp_path / "out", beam_options=IN_MEMORY)


def test_what_does_not_belong_together(cells, tmp_path):
    with pytest.raises(MismatchError, match="space nasbench201, expected the encoder's darts"):
        check(SHIPPED / "arch2vec_darts", cells)
    with pytest.raises(MismatchError, match=r"expected a graph_corpus .*, found a 'cell_corpus'"):
        check(SHIPPED / "cg_encoder", cells)
    with pytest.raises(CorruptArtefactError, match=r"expected an encoder \(.*\), found a 'cell_corpus'"):
        check(cells, cells)
    with pytest.raises(MismatchError, match=r"expected a cell_corpus .*, found a 'encoder/arch2vec'"):
        check(SHIPPED / "arch2vec_darts", SHIPPED / "arch2vec_darts")
    with pytest.raises(ConfigurationError, match="batch_size=0"):
        embed_corpus(SHIPPED / "arch2vec_nasbench201", cells, tmp_path, batch_size=0)
