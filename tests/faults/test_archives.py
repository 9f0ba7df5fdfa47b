"""Crafted `.npz` archives: each ends in one line, before memory is taken."""

import struct
import zipfile

import pytest

from tfnas import archives, artefacts
from tfnas.benchmarks.table import read_table
from tfnas.errors import CorruptArtefactError


def header(shape, descr="'<f8'", version=(1, 0)):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version == (1, 0) else "<I", len(text)) + text


def archive(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


CRAFTED = {
    "715 GiB": ({"a.npy": header((96_000_000_000,)) + bytes(8)}, "takes 768000000000 bytes, the archive has 8"),
    "more than memory": ({"a.npy": header((2**70, 2**70))}, "the archive has 0"),
    "negative": ({"a.npy": header((-1,)) + bytes(8)}, "shape .* takes -8 bytes|not valid|negative"),
    "records": ({"a.npy": header((1,), "[('x', '<f8')]") + bytes(8)}, "expected numbers or text"),
    "arrays in records": ({"a.npy": header((1,), "('<f8', (2,))") + bytes(16)}, "a"),
    "objects": ({"a.npy": header((1,), "'|O'") + bytes(8)}, "pickled objects, expected numbers or text"),
    "another format": ({"a.npy": header((1,), version=(3, 0)) + bytes(8)}, r"the format \(3, 0\)"),
    "no header": ({"a.npy": b"\x93NUMPY"}, "array 'a' at byte 0"),
    "an expression": ({"a.npy": header("__import__('os')") + bytes(8)}, "array 'a' at byte 0"),
    "more than the array": ({"a.npy": header((1,)) + bytes(16)}, "takes 8 bytes, the archive has 16"),
    "another file": ({"a.txt": b"text"}, "a file 'a.txt', expected arrays"),
}


@pytest.mark.parametrize("name", CRAFTED)
@pytest.mark.parametrize("read", [artefacts.read_npz, read_table])
def test_crafted_archives(name, read, tmp_path):
    members, message = CRAFTED[name]
    with pytest.raises(CorruptArtefactError, match=message) as caught:
        read(archive(tmp_path / "a.npz", members))
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "a.npz") in str(caught.value)


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    """Honest headers, of more than a small file may hold; the same archive is read where the bound allows it."""
    path = archive(tmp_path / "a.npz", {"a.npy": header((200_000,)) + bytes(1_600_000)}, zipfile.ZIP_DEFLATED)
    assert artefacts.read_npz(path)["a"].shape == (200_000,)
    monkeypatch.setattr(archives, "LARGEST_BYTES", 1 << 20)
    with pytest.raises(CorruptArtefactError, match=r"16000\d\d bytes of arrays in a file"):
        artefacts.read_npz(path)


@pytest.mark.parametrize("method", [1, 9, 12, 14, 99])
def test_methods_of_compression(method, tmp_path):
    """Both headers of the member name another method."""
    path = archive(tmp_path / "a.npz", {"a.npy": header((1,)) + bytes(8)})
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        place = content.index(signature) + offset
        content[place : place + 2] = struct.pack("<H", method)
    path.write_bytes(content)
    with pytest.raises(CorruptArtefactError, match=r"method|not an archive"):
        artefacts.read_npz(path)


def test_an_array_twice(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("a.npy", header((1,)) + bytes(8))
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("a.npy", header((1,)) + bytes(8))
    with pytest.raises(CorruptArtefactError, match="listed twice"):
        artefacts.read_npz(tmp_path / "a.npz")
