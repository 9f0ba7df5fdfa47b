"""The NAS-Bench-101 cell space: 423,624 graphs of at most 7 vertices and 9 edges.

References:
  Ying et al. 2019, "NAS-Bench-101: Towards Reproducible Neural Architecture Search", sections 2.1-2.4.
  https://github.com/google-research/nasbench (nasbench/lib/model_spec.py), for the matrix and operations of a cell.
  https://github.com/automl/NASLib (naslib/search_spaces/nasbench101/conversions.py), for NASLib's tuples.
"""

import functools
import itertools
import math
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import joblib
import numpy as np
from tqdm import tqdm

from tfnas import artefacts, processes
from tfnas.errors import ConfigurationError, CorruptArtefactError, InvalidArchitectureError
from tfnas.spaces import isomorphism
from tfnas.spaces.architecture import ABSENT, Architecture, CellTable
from tfnas.spaces.base import Seed, Space
from tfnas.spaces.encodings import Encoding, is_integer, is_list, shown

INPUT, CONV1X1, CONV3X3, MAXPOOL3X3, OUTPUT = (
    "input",
    "conv1x1-bn-relu",
    "conv3x3-bn-relu",
    "maxpool3x3",
    "output",
)
MAX_EDGES = 9
SIZE = 423_624
_CACHE_VERSION = 1
_CHUNK = 4096

# The labels that the benchmark hashes: -1 input, -2 output, and its own order of the interior operations.
_HASH_LABELS = {INPUT: -1, CONV3X3: 0, CONV1X1: 1, MAXPOOL3X3: 2, OUTPUT: -2}


_NASLIB_OPERATIONS = (INPUT, OUTPUT, MAXPOOL3X3, CONV1X1, CONV3X3)
# A cell as `ModelSpec` keeps it after and before pruning, and as the benchmark's API answers it.
_SPECIFICATIONS = (("matrix", "ops"), ("original_matrix", "original_ops"), ("module_adjacency", "module_operations"))


def _specification(value: Any) -> tuple[Any, Any] | None:
    """Matrix and operations of a dictionary that has both, else None; `ModelSpec` prunes an invalid cell to None."""
    for keys in _SPECIFICATIONS:
        if isinstance(value, dict) and all(isinstance(value.get(key), list) for key in keys):
            return value[keys[0]], value[keys[1]]
    return None


def _from_specification(space: "NASBench101", value: Any) -> Architecture:
    """The cell of a `ModelSpec`, which ignores the operations of the first and the last vertex."""
    matrix, names = _specification(value) or ([], [])
    if not is_list(matrix, len(names), lambda row: is_list(row, len(names), lambda entry: entry in (0, 1))):
        raise InvalidArchitectureError(
            f"the matrix {shown(matrix)} of {len(names)} operations, expected as many rows and columns of 0 and 1"
        )
    return Architecture((INPUT, *map(str, names[1:-1]), OUTPUT), np.array(matrix))


def _to_specification(space: "NASBench101", architecture: Architecture) -> dict[str, list]:
    """The arguments of `ModelSpec`."""
    return {"matrix": architecture.adjacency.tolist(), "ops": list(architecture.operations)}


def _from_naslib(space: "NASBench101", numbers: list[int]) -> Architecture:
    """The cell of NASLib's tuple: a matrix of V * V entries, then V numbers of operations."""
    vertices = math.isqrt(len(numbers))
    entries, codes = numbers[: vertices * vertices], numbers[vertices * vertices :]
    wrong = [code for code in codes if not 0 <= code < len(_NASLIB_OPERATIONS)]
    if wrong:
        raise InvalidArchitectureError(f"NASLib's operation {wrong[0]}, expected 0 to {len(_NASLIB_OPERATIONS) - 1}")
    names = tuple(_NASLIB_OPERATIONS[code] for code in codes)
    return Architecture(names, np.array(entries).reshape(vertices, vertices))


def _to_naslib(space: "NASBench101", architecture: Architecture) -> tuple[int, ...]:
    """Inverse of `_from_naslib`."""
    codes = [_NASLIB_OPERATIONS.index(name) for name in architecture.operations]
    return (*architecture.adjacency.ravel().tolist(), *codes)


def _is_naslib(value: Any) -> bool:
    """Whether a value is a list of V * V + V numbers."""
    length = len(value) if isinstance(value, list) else 0
    return length > 0 and math.isqrt(length) * (math.isqrt(length) + 1) == length and all(map(is_integer, value))


def _from_hash(space: "NASBench101", text: str) -> Architecture:
    """The cell of the benchmark's MD5 hash."""
    cells, md5 = space.enumerate_with_hashes()
    rows = np.flatnonzero((md5 == np.frombuffer(bytes.fromhex(text), np.uint8)).all(axis=1))
    if not len(rows):
        raise InvalidArchitectureError(f"hash {text}, expected the hash of a {space.name} cell")
    return space.architecture(cells, int(rows[0]))


class NASBench101(Space):
    """Cells whose interior vertices are 3x3 convolutions, 1x1 convolutions or 3x3 max pools.

    Columns of the encoding: input, conv1x1, conv3x3, maxpool, output (the order of arch2vec's published code). The
    table that `enumerate` returns is sorted by the benchmark's MD5 hash.

    Args:
      cache_dir: folder of the stored enumeration; by default `$TFNAS_CACHE_DIR`, else `~/.cache/tfnas`.

    Example:
      >>> cell = Architecture((INPUT, CONV3X3, OUTPUT), [[0, 1, 1], [0, 0, 1], [0, 0, 0]])
      >>> NASBench101().canonical_hash(cell)
      'd32d0b26d534203b48d866facd98cc3e'
    """

    name = "nasbench101"
    operations = (INPUT, CONV1X1, CONV3X3, MAXPOOL3X3, OUTPUT)
    max_vertices = 7
    size = SIZE

    def __init__(self, cache_dir: artefacts.PathLike | None = None):
        default = os.environ.get("TFNAS_CACHE_DIR") or os.path.expanduser("~/.cache/tfnas")
        self._cache = pathlib.Path(cache_dir or default) / f"nasbench101_cells_v{_CACHE_VERSION}.npz"

    def enumerate(self) -> CellTable:
        """All 423,624 cells, sorted by MD5 hash; computed once (some minutes), then read from the cache.

        Raises:
          ConfigurationError: there is no cache yet, and its folder can't be written.
          CorruptArtefactError: the cache is damaged.
        """
        return self.enumerate_with_hashes()[0]

    def enumerate_with_hashes(self) -> tuple[CellTable, np.ndarray]:
        """The table of `enumerate`, and the benchmark's MD5 hashes as raw bytes, uint8 `[N, 16]`."""
        if not self._cache.is_file():
            _fill(self._cache)
        return _stored(self._cache)

    def sample(self, count: int, seed: Seed) -> CellTable:
        if count > SIZE:
            raise ConfigurationError(f"{self.name} holds {SIZE} architectures, {count} were asked for")
        return self.enumerate()[np.random.default_rng(seed).choice(SIZE, count, replace=False)]

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Flips an edge, changes an interior operation, or puts a new vertex between two others.

        The three kinds of edit are tried with equal chances until one gives a valid cell with another hash; vertices
        that a removed edge cuts off are pruned.

        References:
          Ying et al. 2019, appendix S4 (mutation of regularized evolution, which edits a fixed 7-vertex matrix).
        """
        before = self.canonical_hash(architecture)
        edits = (_flip_edge, _change_operation, _insert_vertex)
        while True:
            mutated = edits[rng.integers(len(edits))](architecture, rng)
            if self.validate(mutated) is None:
                mutated = prune(mutated)
                if self.canonical_hash(mutated) != before:
                    return mutated

    def validate(self, architecture: Architecture) -> str | None:
        """The benchmark's own rules: it prunes vertices off every input-output path before it counts."""
        names = architecture.operations
        if len(names) < 2:
            return f"{len(names)} vertices, expected at least input and output"
        if names[0] != INPUT:
            return f"vertex 0 is {names[0]!r}, expected {INPUT!r}"
        if names[-1] != OUTPUT:
            return f"the last vertex is {names[-1]!r}, expected {OUTPUT!r}"
        for vertex, name in enumerate(names[1:-1], start=1):
            if name not in self.operations[1:-1]:
                return f"vertex {vertex} is {name!r}, expected one of {', '.join(self.operations[1:-1])}"
        on_paths = on_path(architecture.adjacency[None])[0]
        if not on_paths.any():
            return "no path leads from input to output"
        edges = int(architecture.adjacency[np.ix_(on_paths, on_paths)].sum())
        if edges > MAX_EDGES:
            return f"{edges} edges, at most {MAX_EDGES} are allowed"
        if on_paths.sum() > self.max_vertices:
            return f"{int(on_paths.sum())} vertices, at most {self.max_vertices} are allowed"
        return None

    def to_table(self, architectures: Sequence[Architecture]) -> CellTable:
        """The padded table of some architectures, without vertices that lie on no path from input to output.

        Raises:
          InvalidArchitectureError: one of them is not valid in this space.
        """
        for architecture in architectures:
            self.require_valid(architecture)
        return CellTable.of([prune(architecture) for architecture in architectures], self.operations, self.max_vertices)

    def validate_many(self, cells: CellTable) -> np.ndarray:
        mask = cells.vertex_mask
        rows = np.arange(len(cells))
        last = mask.sum(axis=1) - 1
        contiguous = (mask == (np.arange(mask.shape[1]) <= last[:, None])).all(axis=1)
        inside = mask & (np.arange(mask.shape[1]) > 0) & (np.arange(mask.shape[1]) < last[:, None])
        interior_ok = ~(inside & ((cells.operations == 0) | (cells.operations == 4))).any(axis=1)
        ends_ok = (cells.operations[:, 0] == 0) & (cells.operations[rows, last] == 4)
        adjacency = cells.adjacency.astype(bool)
        upper = ~(adjacency & np.tri(mask.shape[1], dtype=bool)).any(axis=(1, 2))
        on_paths = on_path(adjacency, last)
        edges = (adjacency & on_paths[:, :, None] & on_paths[:, None, :]).sum(axis=(1, 2))
        return contiguous & (last > 0) & interior_ok & ends_ok & upper & on_paths.any(axis=1) & (edges <= MAX_EDGES)

    def canonical_hash(self, architecture: Architecture) -> str:
        """The benchmark's MD5 hash of the pruned cell."""
        self.require_valid(architecture)
        pruned = prune(architecture)
        return isomorphism.module_hash(pruned.adjacency, [_HASH_LABELS[name] for name in pruned.operations])

    def canonical_hashes(self, cells: CellTable) -> np.ndarray:
        last = cells.num_vertices - 1
        on_paths = on_path(cells.adjacency.astype(bool), last)
        adjacency = cells.adjacency * on_paths[:, :, None] * on_paths[:, None, :]
        return isomorphism.fingerprints(adjacency, np.where(on_paths, cells.operations.astype(np.int64), -1))

    encodings: ClassVar[Mapping[str, Encoding]] = {
        "nasbench": Encoding(
            "ModelSpec, {'matrix': [[...]], 'ops': [...]}",
            lambda value: _specification(value) is not None,
            _from_specification,
            _to_specification,
        ),
        "naslib": Encoding("V * V + V numbers, a matrix and operations", _is_naslib, _from_naslib, _to_naslib),
        "hash": Encoding(
            "the benchmark's MD5 hash",
            lambda value: isinstance(value, str) and re.fullmatch("[0-9a-fA-F]{32}", value) is not None,
            _from_hash,
            canonical_hash,
        ),
        **Space.encodings,
    }


def _flip_edge(architecture: Architecture, rng: np.random.Generator) -> Architecture:
    adjacency = architecture.adjacency.copy()
    adjacency[_random_pair(architecture, rng)] ^= 1
    return Architecture(architecture.operations, adjacency)


def _change_operation(architecture: Architecture, rng: np.random.Generator) -> Architecture:
    operations = list(architecture.operations)
    if len(operations) > 2:
        vertex = int(rng.integers(1, len(operations) - 1))
        operations[vertex] = _random_operation(rng)
    return Architecture(tuple(operations), architecture.adjacency)


def _insert_vertex(architecture: Architecture, rng: np.random.Generator) -> Architecture:
    source, target = _random_pair(architecture, rng)
    vertex = source + 1
    operations = list(architecture.operations)
    operations.insert(vertex, _random_operation(rng))
    adjacency = np.insert(np.insert(architecture.adjacency, vertex, 0, axis=0), vertex, 0, axis=1)
    adjacency[source, vertex] = adjacency[vertex, target + 1] = 1
    return Architecture(tuple(operations), adjacency)


def _random_pair(architecture: Architecture, rng: np.random.Generator) -> tuple[int, int]:
    first, second = sorted(rng.choice(architecture.num_vertices, 2, replace=False).tolist())
    return first, second


def _random_operation(rng: np.random.Generator) -> str:
    return NASBench101.operations[int(rng.integers(1, len(NASBench101.operations) - 1))]


def prune(architecture: Architecture) -> Architecture:
    """The cell without the vertices that lie on no path from input to output."""
    on_paths = on_path(architecture.adjacency[None])[0]
    names = tuple(name for name, keep in zip(architecture.operations, on_paths, strict=True) if keep)
    return Architecture(names, architecture.adjacency[np.ix_(on_paths, on_paths)])


def on_path(adjacency: np.ndarray, last: np.ndarray | None = None) -> np.ndarray:
    """bool `[N, V]`: which vertices lie on a path from vertex 0 to vertex `last` (all False where there is none)."""
    adjacency = adjacency.astype(bool)
    count, width = adjacency.shape[:2]
    forward = np.zeros((count, width), bool)
    forward[:, 0] = True
    for j in range(1, width):
        forward[:, j] = (forward[:, :j] & adjacency[:, :j, j]).any(axis=1)
    backward = np.zeros((count, width), bool)
    backward[np.arange(count), width - 1 if last is None else last] = True
    for i in range(width - 2, -1, -1):
        backward[:, i] |= (backward[:, i + 1 :] & adjacency[:, i, i + 1 :]).any(axis=1)
    both = forward & backward
    both[~(both[:, 0])] = False
    return both


def pack_edges(adjacency: np.ndarray) -> np.ndarray:
    """uint32 `[N]` with edge i -> j at bit `i + j(j-1)/2`, the benchmark's numbering; from `[N, V, V]`."""
    bits = np.zeros(len(adjacency), np.uint32)
    for j in range(1, adjacency.shape[1]):
        for i in range(j):
            bits |= adjacency[:, i, j].astype(np.uint32) << np.uint32(i + j * (j - 1) // 2)
    return bits


def unpack_edges(edge_bits: np.ndarray, width: int) -> np.ndarray:
    """Inverse of `pack_edges`: uint8 `[N, width, width]`."""
    adjacency = np.zeros((len(edge_bits), width, width), np.uint8)
    for j in range(1, width):
        for i in range(j):
            adjacency[:, i, j] = (edge_bits >> np.uint32(i + j * (j - 1) // 2)) & 1
    return adjacency


def unique_cells(largest: int = NASBench101.max_vertices) -> CellTable:
    """One cell per isomorphism class, of 2 to `largest` vertices, in the benchmark's order of generation."""
    unique = []
    for vertices in range(2, largest + 1):
        labelled = _labelled_graphs(vertices, NASBench101.max_vertices)
        _, first = np.unique(NASBench101().canonical_hashes(labelled), return_index=True)
        unique.append(labelled[np.sort(first)])
    return CellTable.concatenate(unique)


@functools.lru_cache(maxsize=1)
def _stored(cache: pathlib.Path) -> tuple[CellTable, np.ndarray]:
    """Cells and MD5 hashes in a cache, read once per process; the arrays can't be written."""
    arrays = artefacts.read_npz(cache)
    shapes = {name: (array.shape, array.dtype) for name, array in arrays.items()}
    width = NASBench101.max_vertices
    if shapes != {
        "edge_bits": ((SIZE,), np.dtype(np.uint32)),
        "operations": ((SIZE, width), np.dtype(np.uint8)),
        "md5": ((SIZE, 16), np.dtype(np.uint8)),
    }:
        raise CorruptArtefactError(f"{cache}: not the cache of {SIZE} cells; delete it to compute it again")
    cells = CellTable(arrays["operations"], unpack_edges(arrays["edge_bits"], width))
    for array in (cells.operations, cells.adjacency, arrays["md5"]):
        array.setflags(write=False)
    return cells, arrays["md5"]


def _fill(cache: pathlib.Path) -> None:
    """Enumerates the cells into a cache; what a killed enumeration has hashed is taken from the parts beside it."""
    folder = cache.with_suffix(".parts")
    if cache.parts[0] == "~":
        raise ConfigurationError("no home folder for the enumeration of NAS-Bench-101; set TFNAS_CACHE_DIR")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"{cache.parent}: can't be written ({error.strerror}), and the enumeration of NAS-Bench-101, which takes "
            "some minutes, would be lost; set TFNAS_CACHE_DIR to another folder"
        ) from error
    cells = unique_cells()
    md5 = md5_hashes(cells, folder)
    order = np.lexsort(md5.T[::-1])
    artefacts.write_npz(
        cache, edge_bits=pack_edges(cells.adjacency[order]), operations=cells.operations[order], md5=md5[order]
    )
    shutil.rmtree(folder, ignore_errors=True)  # another process may have filled the same cache


def _labelled_graphs(vertices: int, width: int) -> CellTable:
    """Every full DAG of at most 9 edges (each vertex has a successor and a predecessor) with every labelling."""
    bits = np.arange(1 << (vertices * (vertices - 1) // 2), dtype=np.uint32)
    bits = bits[np.bitwise_count(bits) <= MAX_EDGES]
    adjacency = unpack_edges(bits, vertices)
    full = np.any(adjacency[:, :-1], axis=2).all(axis=1) & np.any(adjacency[:, :, 1:], axis=1).all(axis=1)
    bits = bits[full]
    # The benchmark's generator runs through conv3x3, conv1x1, maxpool (codes 2, 1, 3 here), the last vertex fastest.
    labellings = np.array(list(itertools.product((2, 1, 3), repeat=vertices - 2)), np.uint8)
    operations = np.full((len(bits), len(labellings), width), ABSENT, np.uint8)
    operations[..., 0] = 0
    operations[..., 1 : vertices - 1] = labellings
    operations[..., vertices - 1] = 4
    repeated = np.repeat(unpack_edges(bits, width), len(labellings), axis=0)
    return CellTable(operations.reshape(-1, width), repeated)


def md5_hashes(cells: CellTable, folder: pathlib.Path | None = None) -> np.ndarray:
    """The benchmark's hashes of N pruned cells, by as many processes as there are processors.

    Args:
      cells: N cells without vertices off every path.
      folder: folder that keeps the hashes of every chunk of the cells as soon as they are known, so that a killed
        computation of the same cells continues; None keeps none.

    Returns:
      uint8 `[N, 16]`.
    """
    chunks = {start: cells[start : start + _CHUNK] for start in range(0, len(cells), _CHUNK)}
    paths = {start: None if folder is None else folder / f"{start:06d}.npz" for start in chunks}
    hashes = {start: _part(path, len(chunks[start])) for start, path in paths.items()}
    missing = [start for start, known in hashes.items() if known is None]
    hashed = processes.results(joblib.delayed(_md5_chunk)(chunks[start]) for start in missing)
    with tqdm(total=len(chunks), desc="Hashing NAS-Bench-101 cells", leave=False) as bar:
        bar.update(len(chunks) - len(missing))
        for start, md5 in zip(missing, hashed, strict=True):
            hashes[start] = md5
            path = paths[start]
            if path is not None:
                artefacts.write_npz(path, md5=md5)
            bar.update()
    return np.concatenate(list(hashes.values()))


def _part(path: pathlib.Path | None, count: int) -> np.ndarray | None:
    """The hashes of a chunk that a file keeps; None if there is no such file."""
    if path is None or not path.is_file():
        return None
    md5 = artefacts.read_npz(path).get("md5")
    if md5 is None or md5.shape != (count, 16):
        raise CorruptArtefactError(f"{path}: not the hashes of {count} cells; delete it to compute it again")
    return md5


def _md5_chunk(cells: CellTable) -> np.ndarray:
    labels = np.array([_HASH_LABELS[name] for name in NASBench101.operations])
    digests = bytearray()
    for codes, adjacency in zip(cells.operations, cells.adjacency, strict=True):
        count = int((codes != ABSENT).sum())
        digests += bytes.fromhex(isomorphism.module_hash(adjacency[:count, :count], labels[codes[:count]]))
    return np.frombuffer(bytes(digests), np.uint8).reshape(-1, 16)
