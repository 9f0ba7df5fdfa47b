"""Files that are whole or absent."""

import json
import os
import pathlib
import tempfile

import numpy as np
import pytest

from tests import fork
from tfnas import artefacts
from tfnas.errors import ConfigurationError, CorruptArtefactError


def test_atomic_file_keeps_the_old_content_on_failure(tmp_path):
    def fail():
        with artefacts.atomic_file(path) as file:
            file.write(b"new")
            raise RuntimeError

    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_folder_replaces_as_a_whole(tmp_path):
    for content in ("first", "second"):
        with artefacts.atomic_folder(tmp_path / "f") as folder:
            (folder / content).write_text(content)
    assert [path.name for path in (tmp_path / "f").iterdir()] == ["second"]
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_npz_is_reproducible_and_refuses_objects(tmp_path, rng):
    arrays = {"b": rng.random(5), "a": np.array("text")}
    artefacts.write_npz(tmp_path / "1.npz", **arrays)
    artefacts.write_npz(tmp_path / "2.npz", **dict(reversed(arrays.items())))
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()
    read = artefacts.read_npz(tmp_path / "1.npz")
    np.testing.assert_array_equal(read["b"], arrays["b"])
    assert str(read["a"]) == "text"
    with pytest.raises(TypeError, match="object"):
        artefacts.write_npz(tmp_path / "3.npz", bad=np.array([{}]))
    assert not (tmp_path / "3.npz").exists()


@pytest.mark.parametrize("size", [0, 1, 30, 200])
def test_truncated_npz(tmp_path, size):
    artefacts.write_npz(tmp_path / "a.npz", values=np.arange(1000))
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(content[:size])
    with pytest.raises(CorruptArtefactError, match=r"a\.npz"):
        artefacts.read_npz(tmp_path / "a.npz")


def test_pickled_npz_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", bad=np.array([{}], dtype=object))
    with pytest.raises(CorruptArtefactError, match="plain arrays"):
        artefacts.read_npz(tmp_path / "a.npz")


def test_manifest_notices_every_change(tmp_path):
    (tmp_path / "data.bin").write_bytes(b"0123456789")
    artefacts.write_manifest(tmp_path, kind="test", records=1)
    assert artefacts.read_manifest(tmp_path, kind="test")["records"] == 1
    with pytest.raises(CorruptArtefactError, match="kind 'other'"):
        artefacts.read_manifest(tmp_path, kind="other")
    for content, message in ((b"012345678", "9 bytes"), (b"012345678x", "SHA-256")):
        (tmp_path / "data.bin").write_bytes(content)
        with pytest.raises(CorruptArtefactError, match=message):
            artefacts.read_manifest(tmp_path)
    (tmp_path / "data.bin").unlink()
    with pytest.raises(CorruptArtefactError, match="missing"):
        artefacts.read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(CorruptArtefactError, match="not a manifest of tfnas"):
        artefacts.read_manifest(tmp_path)


def test_output_folder(tmp_path):
    folder = tmp_path / "out"
    artefacts.prepare_output_folder(folder, {"seed": 1})
    with pytest.raises(ConfigurationError, match="not empty"):
        artefacts.prepare_output_folder(folder, {"seed": 1})
    artefacts.prepare_output_folder(folder, {"seed": 1}, resume=True)
    for seed, growing in ((2, ()), (0, ["seed"])):
        with pytest.raises(ConfigurationError, match=f"was started with seed=1, not {seed}"):
            artefacts.prepare_output_folder(folder, {"seed": seed}, resume=True, growing=growing)
    grown = tmp_path / "grown"
    artefacts.prepare_output_folder(grown, {"seed": 1, "queries": 5})
    artefacts.prepare_output_folder(grown, {"seed": 1, "queries": 7}, resume=True, growing=["queries"])
    with pytest.raises(ConfigurationError, match="was started with queries=7, not 6"):
        artefacts.prepare_output_folder(grown, {"seed": 1, "queries": 6}, resume=True, growing=["queries"])
    with pytest.raises(ConfigurationError, match="seed=1, not 2"):
        artefacts.prepare_output_folder(folder, {"seed": 2}, resume=True)
    (folder / "result").touch()
    artefacts.prepare_output_folder(folder, {"seed": 2}, overwrite=True)
    assert json.loads((folder / "run.json").read_text())["settings"] == {"seed": 2}
    assert not (folder / "result").exists()


def test_what_a_killed_run_wrote_aside_goes(tmp_path):
    artefacts.prepare_output_folder(tmp_path, {})
    (tmp_path / "part").mkdir()
    torn = pathlib.Path(tempfile.mkdtemp(prefix=".encoder.", dir=tmp_path))
    (torn / ".x.npz.abcdefgh").touch()
    descriptor, file = tempfile.mkstemp(prefix=".state.npz.", dir=tmp_path / "part")
    os.close(descriptor)
    kept = [tmp_path / ".gitignore", tmp_path / "part" / ".hidden.npz", tmp_path / "a.b.abcdefgh"]
    for path in kept:
        path.touch()
    artefacts.prepare_output_folder(tmp_path, {}, resume=True)
    assert not torn.exists()
    assert not pathlib.Path(file).exists()
    assert all(path.exists() for path in kept)


def test_overwrite_spares_what_tfnas_did_not_make(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(ConfigurationError, match="won't delete"):
        artefacts.prepare_output_folder(tmp_path, {}, overwrite=True)
    assert (tmp_path / "thesis.txt").exists()
    with pytest.raises(ConfigurationError, match="is a file"):
        artefacts.prepare_output_folder(tmp_path / "thesis.txt", {})
    with pytest.raises(ConfigurationError, match="exclude"):
        artefacts.prepare_output_folder(tmp_path, {}, resume=True, overwrite=True)


def lock(folder):
    artefacts.prepare_output_folder(folder, {}, resume=True, lock=True)


def test_one_process_works_in_a_folder(tmp_path):
    """A lock is taken again by its process, keeps others out, and is gone with its process."""
    folder = tmp_path / "out"
    assert fork.call(lock, folder).returncode == 0
    for _ in range(2):
        lock(folder)
    artefacts.prepare_output_folder(folder, {}, overwrite=True, lock=True)
    done = fork.call(lock, folder)
    assert done.returncode == 1
    assert "out: another process works in this folder" in done.stderr
