"""Corpora on disk: what is read is what was written, or an error."""

import numpy as np
import pytest
import tensorflow as tf

from tfnas import artefacts
from tfnas.corpora import cells as cell_corpora
from tfnas.corpora import shards
from tfnas.errors import CorruptArtefactError, MismatchError
from tfnas.spaces import Darts, NASBench201


@pytest.fixture
def corpus(tmp_path, rng):
    space = NASBench201()
    cells = space.sample(50, rng)
    cell_corpora.write_cells(tmp_path / "corpus", space, cells, num_shards=3)
    return tmp_path / "corpus", space, cells


def test_round_trip(corpus):
    folder, space, cells = corpus
    read = cell_corpora.load_cells(folder, space)
    np.testing.assert_array_equal(read.operations, cells.operations)
    np.testing.assert_array_equal(read.adjacency, cells.adjacency)


def test_equal_cells_equal_bytes(corpus):
    """Fields of a record stand in an order of their own, not in that of a hash table."""
    folder, _, _ = corpus
    for path in shards.paths(folder, artefacts.read_manifest(folder)):
        for record in shards.read_file(path):
            assert tf.train.Example.FromString(record).SerializeToString(deterministic=True) == record


def test_every_truncation_of_a_shard_is_noticed(corpus):
    folder, space, _ = corpus
    shard = next(folder.glob("*.tfrecord"))
    content = shard.read_bytes()
    for size in (0, 5, 12, len(content) // 2, len(content) - 1):
        shard.write_bytes(content[:size])
        with pytest.raises(CorruptArtefactError, match=shard.name):
            cell_corpora.load_cells(folder, space)


def test_every_flipped_bit_is_noticed(corpus, rng):
    folder, space, _ = corpus
    shard = next(folder.glob("*.tfrecord"))
    content = bytearray(shard.read_bytes())
    for _ in range(20):
        position, bit = int(rng.integers(len(content))), int(rng.integers(8))
        content[position] ^= 1 << bit
        shard.write_bytes(content)
        with pytest.raises(CorruptArtefactError, match=shard.name):
            cell_corpora.load_cells(folder, space)
        content[position] ^= 1 << bit


def test_missing_shard_and_missing_corpus(corpus, tmp_path):
    folder, space, _ = corpus
    next(folder.glob("*.tfrecord")).unlink()
    with pytest.raises(CorruptArtefactError, match="missing"):
        cell_corpora.load_cells(folder, space)
    with pytest.raises(CorruptArtefactError, match="no such file"):
        cell_corpora.load_cells(tmp_path / "nothing", space)


def test_corpus_of_another_space(corpus):
    with pytest.raises(MismatchError, match="a corpus of nasbench201, expected darts"):
        cell_corpora.load_cells(corpus[0], Darts())


def test_failed_write_leaves_the_old_corpus(corpus, monkeypatch):
    folder, space, cells = corpus
    monkeypatch.setattr(tf.io.TFRecordWriter, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(OSError, match="disk full"):
        cell_corpora.write_cells(folder, space, cells[:10])
    monkeypatch.undo()
    assert len(cell_corpora.load_cells(folder, space)) == 50
    assert [path.name for path in folder.parent.iterdir()] == ["corpus"]
