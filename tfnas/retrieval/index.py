"""Search among embedded architectures: an artefact whose SavedModel answers in plain TensorFlow.

A query of a few hundred thousand architectures is one matrix product and one top-k, so the search is exact. A larger
index may hold inverted lists, of which a query looks at few.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import numpy as np

from tfnas import artefacts
from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.retrieval.calibration import Calibration, calibrated
from tfnas.retrieval.collection import Collection, read_collection
from tfnas.retrieval.evidence import Surroundings
from tfnas.retrieval.searchers import EXACT, ExactSearcher, InvertedLists, ListSearcher, Searcher, installed
from tfnas.saved_model_operations import check_operations
from tfnas.saved_models import SAVED_MODEL_FILES, SHIPPED, read_variable, save_module
from tfnas.typed import Natural

KIND = "architecture_index"
_ITEMS_NAME, _GRAPHS_NAME, _LISTS_NAME = "items.npz", "graphs.npz", "lists.npz"
_ALLOWED_FOR_LISTS = 0.9  # share of the index: the recall of lists is measured without filters


class Facts(TypedDict):
    """Entries of the manifest of an index."""

    architectures: Natural
    embedding_dim: Natural
    encoder: NotRequired[str]


@dataclasses.dataclass(frozen=True)
class Match:
    """An architecture of the index that is similar to a query.

    Attributes:
      name: name in the index.
      source: library or project of the architecture.
      family: family of the architecture; empty if the family is not known.
      similarity: cosine of the angle between the embeddings, -1 to 1.
      row: row of the index.
    """

    name: str
    source: str
    family: str
    similarity: float
    row: int


class Index:
    """N embedded architectures by unique name.

    Args:
      embeddings: float `[N, D]`, not 0; stored with length 1.
      names: strings `[N]`, all different.
      sources: strings `[N]`, library or project of each architecture.
      families: strings `[N]`, empty where the family is not known.
      collection: graphs of the architectures in the same order, for pictures and shared motifs; None for an index
        without graphs.
      calibration: meaning of scores in this index; None for fewer than two structures with families.

    Attributes:
      embeddings: float32 `[N, D]` of length 1.
      names: strings `[N]`.
      sources: strings `[N]`.
      families: strings `[N]`.
      collection: graphs of the architectures, or None.
      calibration: meaning of scores, or None.
      lists: inverted lists, or None for an index that is searched exactly.
      manifest: manifest of the folder that the index was read from or written to; empty before.

    Raises:
      ConfigurationError: arrays of different lengths, a name that occurs twice, an embedding that is 0 or not finite.

    Example:
      >>> index = Index(np.eye(3), ["a", "b", "c"], ["mine"] * 3, ["x", "x", "y"])
      >>> [[match.name for match in matches] for matches in index.search([[0.1, 1.0, 0.2]], 2)]
      [['b', 'c']]
    """

    def __init__(
        self,
        embeddings: np.ndarray,
        names: Sequence[str] | np.ndarray,
        sources: Sequence[str] | np.ndarray,
        families: Sequence[str] | np.ndarray,
        collection: Collection | None = None,
        calibration: Calibration | None = None,
    ):
        self.embeddings = _unit(embeddings)
        self.collection, self.calibration = collection, calibration
        self.manifest: dict[str, Any] = {}
        self.names, self.sources, self.families = (np.array(texts, str) for texts in (names, sources, families))
        for label, texts in (("names", self.names), ("sources", self.sources), ("families", self.families)):
            if texts.shape != (len(self.embeddings),):
                raise ConfigurationError(f"{len(texts)} {label} for {len(self.embeddings)} embeddings")
        unique, self._alphabetical, counts = np.unique(self.names, return_index=True, return_counts=True)
        if (counts > 1).any():
            name = str(unique[counts.argmax()])
            raise ConfigurationError(f"architecture {name!r} occurs {counts.max()} times in the index")
        if collection is not None and collection.names.tolist() != self.names.tolist():
            raise ConfigurationError("the graphs of the index are of other architectures than its embeddings")
        self.lists: InvertedLists | None = None
        self._searchers: dict[str, Searcher] = {}

    @classmethod
    def of(cls, embeddings: np.ndarray, collection: Collection, calibration: Calibration | None = None) -> "Index":
        """The index of a collection, with its graphs.

        Args:
          embeddings: float `[N, D]`, not 0.
          collection: N architectures.
          calibration: meaning of scores; None for the calibration on the collection's own pairs.
        """
        index = cls(embeddings, collection.names, collection.sources, collection.families, collection, calibration)
        if calibration is None:
            index.calibration = calibrated(index.embeddings, index.families, Surroundings(collection.graphs))
        return index

    def __len__(self) -> int:
        return len(self.names)

    def row(self, name: str) -> int:
        """The row of an architecture.

        Raises:
          ConfigurationError: the index does not hold the architecture.
        """
        if name not in self:
            raise ConfigurationError(f"the index holds no architecture {name!r}")
        return self._nearest_row(name)

    def __contains__(self, name: str) -> bool:
        """Whether the index holds an architecture of that name."""
        return len(self) > 0 and bool(self.names[self._nearest_row(name)] == name)

    def _nearest_row(self, name: str) -> int:
        """The row of the first name that is not before `name` in the alphabet, or of the last name."""
        rank = int(np.searchsorted(self.names, name, sorter=self._alphabetical))
        return int(self._alphabetical[min(rank, len(self) - 1)])

    def remove(self, names: Sequence[str]) -> "Index":
        """The index without some architectures; the scores of the rest mean what they meant.

        Args:
          names: names of the architectures to leave out.

        Raises:
          ConfigurationError: the index does not hold an architecture, or no architecture would be left.
        """
        rows = np.delete(np.arange(len(self)), [self.row(name) for name in names])
        graphs = None if self.collection is None else self.collection[rows]
        facts = (self.names[rows], self.sources[rows], self.families[rows])
        return Index(self.embeddings[rows], *facts, graphs, self.calibration)

    def search(
        self,
        queries: np.ndarray,
        count: int,
        *,
        sources: Sequence[str] | None = None,
        families: Sequence[str] | None = None,
        without: Sequence[str] = (),
        allowed: np.ndarray | None = None,
        backend: str | None = None,
    ) -> list[list[Match]]:
        """The most similar architectures of every query, best first; of equal similarities the first in the index.

        Args:
          queries: embeddings float `[Q, D]`, not 0.
          count: k, the number of matches; fewer matches where filters leave fewer architectures.
          sources: sources that are allowed; None allows every source.
          families: families that are allowed; None allows every family.
          without: names that are not allowed, such as the name of the query.
          allowed: bool `[N]`, architectures that are allowed; None allows all.
          backend: `tensorflow` or `faiss` for an exact search, by the package faiss-cpu with the order of equal
            similarities open; None for the lists of the index, if it has any and faiss-cpu is installed, and TensorFlow
            otherwise. Where filters exclude more than a tenth of the index, TensorFlow answers.

        Returns:
          Q lists of at most k matches.

        Raises:
          ConfigurationError: queries of another shape, an unknown source, family, name or backend, or filters that no
            architecture passes.
        """
        queries = _unit(queries)
        if queries.shape[1] != self.embeddings.shape[1] or count < 1:
            raise ConfigurationError(
                f"queries {queries.shape}, count={count}, expected [Q, {self.embeddings.shape[1]}], k"
            )
        allowed = self._allowed(sources, families, without, allowed)
        left = len(self) if allowed is None else int(np.count_nonzero(allowed))
        if not left:
            raise ConfigurationError("no architecture of the index is allowed")
        if backend is not None and backend not in EXACT:
            raise ConfigurationError(f"backend={backend!r}, expected one of {', '.join(EXACT)}")
        count = min(count, left)
        matched: list[tuple[np.ndarray, np.ndarray] | None] = [None] * len(queries)
        if backend is None and self.lists is not None and left >= _ALLOWED_FOR_LISTS * len(self) and installed():
            outcomes = self._searcher("ivf").batches(queries, allowed, count)
            matched = [outcome if len(outcome[0]) == count else None for outcome in outcomes]
        rest = np.array([number for number, outcome in enumerate(matched) if outcome is None], int)
        if len(rest):
            exact = self._searcher(backend or "tensorflow").batches(queries[rest], allowed, count)
            for number, outcome in zip(rest.tolist(), exact, strict=True):
                matched[number] = outcome
        return [
            [self._match(int(row), float(value)) for row, value in zip(*outcome, strict=True)]
            for outcome in matched
            if outcome is not None
        ]

    def _allowed(
        self,
        sources: Sequence[str] | None,
        families: Sequence[str] | None,
        without: Sequence[str],
        allowed: np.ndarray | None,
    ) -> np.ndarray | None:
        """bool `[N]`, architectures that pass the filters of `search`; None for all of them.

        A query in lists takes less time than a pass over N numbers.
        """
        filters = [] if allowed is None else [np.asarray(allowed, bool)]
        for label, chosen, values in (("source", sources, self.sources), ("family", families, self.families)):
            if chosen is not None:
                unknown = sorted(set(chosen) - set(values.tolist()))
                if unknown:
                    raise ConfigurationError(f"the index knows no {label} {unknown[0]!r}")
                filters.append(np.isin(values, list(chosen)))
        if not filters and not without:
            return None
        passed = np.logical_and.reduce(filters) if filters else np.ones(len(self), bool)
        if without:
            passed[[self.row(name) for name in without]] = False
        return passed

    def _searcher(self, name: str) -> Searcher:
        if name not in self._searchers:
            if name == "ivf" and self.lists is not None:
                self._searchers[name] = ListSearcher(self.embeddings, self.lists)
            else:
                self._searchers[name] = EXACT[name](self.embeddings)
        return self._searchers[name]

    def _match(self, row: int, similarity: float) -> Match:
        return Match(str(self.names[row]), str(self.sources[row]), str(self.families[row]), similarity, row)

    def save(self, folder: artefacts.PathLike, **facts: Any) -> dict[str, Any]:
        """Writes the index; replaces `folder` as a whole once everything is written.

        The SavedModel's signature `search` takes `queries` float32 `[Q, D]` of length 1, `allowed` bool `[N]` and
        `count` int32, and gives `rows` int32 and `similarities` float32, both `[Q, count]`, or with fewer columns where
        fewer rows are allowed.

        Args:
          folder: folder of the index.
          **facts: JSON values for the manifest, such as the encoder's fingerprint.

        Returns:
          The manifest.
        """
        searcher = ExactSearcher(self.embeddings)
        with artefacts.atomic_folder(folder) as staging:
            save_module(searcher, staging, {"search": searcher.search})
            artefacts.write_npz(
                staging / _ITEMS_NAME,
                names=self.names,
                sources=self.sources,
                families=self.families,
                **({} if self.calibration is None else dataclasses.asdict(self.calibration)),
            )
            if self.lists is not None:
                artefacts.write_npz(staging / _LISTS_NAME, **self.lists.arrays())
                facts["ivf"] = self.lists.facts()
            if self.collection is not None:
                artefacts.write_npz(staging / _GRAPHS_NAME, **self.collection.arrays())
            self.manifest = artefacts.write_manifest(
                staging, kind=KIND, architectures=len(self), embedding_dim=self.embeddings.shape[1], **facts
            )
        return self.manifest

    @classmethod
    def load(cls, folder: artefacts.PathLike | None = None, *, trust: bool = False) -> "Index":
        """Reads an index.

        Args:
          folder: folder that `save` wrote; by default the index that ships with tfnas.
          trust: True to read a folder whose SavedModel may do more than compute, although it is not run here.

        Raises:
          CorruptArtefactError: a file is missing, truncated or changed.
          UntrustedModelError: see `saved_model_operations.check_operations`.
        """
        folder = pathlib.Path(folder or SHIPPED / "architecture_index")
        files = (*SAVED_MODEL_FILES, _ITEMS_NAME)
        manifest = artefacts.read_manifest(folder, kind=KIND, facts=Facts, files=files)
        if not trust:
            check_operations(folder)
        arrays = artefacts.read_npz(folder / _ITEMS_NAME)
        graphs = read_collection(folder / _GRAPHS_NAME) if _GRAPHS_NAME in manifest["files"] else None
        # Indices of older versions hold the embeddings of the SavedModel a second time.
        shape = (manifest["architectures"], manifest["embedding_dim"])
        stored = arrays["embeddings"] if "embeddings" in arrays else read_variable(folder, "embeddings", shape)
        try:
            calibration = Calibration(arrays["scores"], arrays["shares"]) if "scores" in arrays else None
            facts = (arrays["names"], arrays["sources"], arrays["families"])
            index = cls(stored, *facts, graphs, calibration)
        except (KeyError, ConfigurationError) as error:
            raise CorruptArtefactError(f"{folder / _ITEMS_NAME}: not the items of an index ({error})") from error
        index.manifest = manifest
        if _LISTS_NAME in manifest["files"]:
            try:
                index.lists = InvertedLists.from_arrays(artefacts.read_npz(folder / _LISTS_NAME), index.embeddings)
            except ConfigurationError as error:
                raise CorruptArtefactError(f"{folder / _LISTS_NAME}: not the lists of the index ({error})") from error
        return index


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Embeddings as float32 `[n, D]` of length 1."""
    vectors = np.asarray(vectors, np.float64)
    if vectors.ndim != 2 or not len(vectors):
        raise ConfigurationError(f"embeddings {vectors.shape}, expected [n, D] with n >= 1")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise ConfigurationError("an embedding is 0 or not finite")
    return (vectors / lengths).astype(np.float32)
