"""Hashes of labelled directed graphs that do not depend on the order of the vertices.

Both functions refine vertex colours by the colours of predecessors and successors, once per vertex. `module_hash` is
the one that NAS-Bench-101 publishes, so that its answers can be compared; `fingerprints` has the same power to tell
graphs apart, and hashes a million cells in seconds.

References:
  Ying et al. 2019, "NAS-Bench-101", section 2.4 (iterative graph hashing).
"""

import functools
import hashlib
from collections.abc import Sequence

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_CHUNK = 1 << 17
_FEW = 256  # graphs, up to which whole matrices take less time than edge after edge


def module_hash(adjacency: np.ndarray, labels: Sequence[int]) -> str:
    """The MD5 graph hash of NAS-Bench-101.

    Args:
      adjacency: `[V, V]` of 0 and 1.
      labels: V integers, one per vertex.

    Returns:
      32 hexadecimal digits, equal for isomorphic graphs.
    """
    return _hash_of(np.ascontiguousarray(adjacency, np.uint8).tobytes(), tuple(int(label) for label in labels))


@functools.lru_cache(maxsize=1 << 16)
def _hash_of(matrix: bytes, labels: tuple[int, ...]) -> str:
    neighbours = _neighbours(matrix, len(labels))
    colours = [
        _md5(str((len(after), len(before), label))) for (before, after), label in zip(neighbours, labels, strict=True)
    ]
    for _ in range(len(colours)):
        colours = [
            _md5(
                "".join(sorted([colours[i] for i in before]))
                + "|"
                + "".join(sorted([colours[i] for i in after]))
                + "|"
                + colour
            )
            for (before, after), colour in zip(neighbours, colours, strict=True)
        ]
    return _md5(str(sorted(colours)))


@functools.lru_cache(maxsize=256)
def _neighbours(matrix: bytes, size: int) -> list[tuple[list[int], list[int]]]:
    """Predecessors and successors of every vertex; graphs that differ in labels only tend to come in a row."""
    adjacency = np.frombuffer(matrix, np.uint8).reshape(size, size)
    return [(np.flatnonzero(adjacency[:, v]).tolist(), np.flatnonzero(adjacency[v]).tolist()) for v in range(size)]


@functools.lru_cache(maxsize=1 << 16)
def _md5(text: str) -> str:
    return hashlib.md5(text.encode("ascii"), usedforsecurity=False).hexdigest()


def fingerprints(adjacency: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """A 64-bit hash per graph, equal for isomorphic graphs.

    Args:
      adjacency: `[N, V, V]` of 0 and 1.
      labels: integers `[N, V]`; negative marks a vertex that does not exist (and has no edges).

    Returns:
      uint64 `[N]`.
    """
    result = np.empty(len(labels), np.uint64)
    for start in range(0, len(labels), _CHUNK):
        rows = slice(start, start + _CHUNK)
        result[rows] = _fingerprint_chunk(adjacency[rows], labels[rows])
    return result


def _fingerprint_chunk(adjacency: np.ndarray, labels: np.ndarray) -> np.ndarray:
    # Vertex-major layout: every operation below runs over contiguous rows of N numbers.
    edges = np.ascontiguousarray(np.moveaxis(adjacency, 0, -1)).astype(bool)
    present = np.ascontiguousarray(labels.T) >= 0
    out_degree, in_degree = edges.sum(axis=1), edges.sum(axis=0)
    seed = (labels.T.astype(np.int64) + 3) * 65536 + out_degree * 256 + in_degree
    zero = np.uint64(0)
    colours = np.where(present, _mix(seed.astype(np.uint64)), zero)
    if len(labels) <= _FEW:
        heard = functools.partial(_heard_by_few, edges.astype(np.uint64))
    else:
        heard = functools.partial(_heard_by_many, edges, np.argwhere(edges.any(axis=-1)).tolist())
    for _ in range(labels.shape[1]):
        from_before, from_after = heard(_mix(colours ^ np.uint64(0xD6E8FEB86659FD93)))
        colours = np.where(present, _mix(_mix(from_before) + _mix(from_after ^ _GOLDEN) * _GOLDEN + colours), zero)
    total = np.where(present, _mix(colours), zero).sum(axis=0, dtype=np.uint64)
    return _mix(total + present.sum(axis=0).astype(np.uint64))


def _heard_by_few(weights: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of numbers over the predecessors and over the successors of every vertex, uint64 `[V, N]` each.

    Args:
      weights: uint64 `[V, V, N]`, 1 where an edge is, and 0 elsewhere.
      spread: the numbers, uint64 `[V, N]`.
    """
    return (weights * spread[:, None]).sum(axis=0), (weights * spread).sum(axis=1)


def _heard_by_many(edges: np.ndarray, connected: list[list[int]], spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What `_heard_by_few` returns, from edges bool `[V, V, N]` and the pairs of vertices that some graph connects."""
    before, after = np.zeros_like(spread), np.zeros_like(spread)
    for source, target in connected:
        edge = edges[source, target]
        before[target] += np.where(edge, spread[source], np.uint64(0))
        after[source] += np.where(edge, spread[target], np.uint64(0))
    return before, after


def _mix(values: np.ndarray) -> np.ndarray:
    """The splitmix64 finaliser: a bijection of 64-bit numbers that scatters close values."""
    values = values + _GOLDEN
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
