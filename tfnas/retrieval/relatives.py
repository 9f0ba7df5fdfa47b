"""Known architectures that are like a model, found by an index and by what they share with the model."""

import pathlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Unpack

import numpy as np

from tfnas import artefacts, encoders
from tfnas.encoders.base import GraphEncoder, graph_encoder
from tfnas.errors import ConfigurationError, MismatchError
from tfnas.graphs.importers import Model, Options, import_model
from tfnas.retrieval import filters
from tfnas.retrieval.answer import Answer, Relative
from tfnas.retrieval.calibration import CANDIDATES
from tfnas.retrieval.collection import Collection
from tfnas.retrieval.differences import Traits, differences
from tfnas.retrieval.evidence import Surroundings, order, score
from tfnas.retrieval.explanation import explain
from tfnas.retrieval.index import Index
from tfnas.retrieval.pairs import Pair
from tfnas.saved_models import SHIPPED, shipped_names

if TYPE_CHECKING:
    from tfnas.retrieval.clusters import Clusters


class Retriever:
    """Answers queries from an index and the encoder that the index was made with.

    Args:
      index: index with graphs and a calibration.
      encoder: encoder of the index.

    Raises:
      MismatchError: the index was made with another encoder.
      ConfigurationError: the index has no graphs or no calibration.

    Example:
      >>> retriever = Retriever.load()
      >>> [relative.family for relative in retriever.relatives("timm/resnet50", count=3)]
      ['resnet', 'resnet', 'resnet']
    """

    def __init__(self, index: Index, encoder: GraphEncoder):
        if index.manifest.get("encoder") != encoder.fingerprint:
            raise MismatchError(f"the index was not made with the encoder {encoder.folder}; build it with this encoder")
        if index.collection is None:
            raise ConfigurationError("the index holds no graphs, which relatives are explained by")
        if index.calibration is None:
            raise ConfigurationError("the index holds no calibration; build it again, of two families or more")
        self.index, self.encoder = index, encoder
        self._collection, self._calibration = index.collection, index.calibration

    @classmethod
    def load(
        cls,
        index: artefacts.PathLike | None = None,
        encoder: artefacts.PathLike | None = None,
        *,
        trust: bool = False,
    ) -> "Retriever":
        """Reads an index and its encoder.

        Args:
          index: folder of an index; the index that ships with tfnas by default.
          encoder: folder of the encoder of the index; by default the encoder that ships with tfnas and that the index
            was made with.
          trust: True to open SavedModels that may do more than compute; see `saved_models.load_module`.

        Raises:
          ConfigurationError: an encoder of cells, or an index without graphs or calibration.
          CorruptArtefactError: a file is missing, truncated or changed.
          MismatchError: the index was made with another encoder.
        """
        opened = Index.load(index, trust=trust)
        return cls(opened, graph_encoder(encoders.load(encoder or _shipped_encoder(opened), trust=trust)))

    def relatives(
        self,
        query: Model,
        count: int = 10,
        *,
        sources: Sequence[str] | None = None,
        families: Sequence[str] | None = None,
        max_parameters: int | None = None,
        max_multiply_adds: int | None = None,
        has: Sequence[str] = (),
        twins: bool = False,
        **options: Unpack[Options],
    ) -> Answer:
        """The relatives of a model.

        The hundred architectures with the most similar embeddings are compared with the query in full. Architectures of
        the query's structure come first; the rest is ranked by `evidence.score`, behind the best
        architecture that shares a fifth of the query's operators.

        Args:
          query: model (see `importers.import_model`), or name of an indexed architecture, which does not find itself.
          count: k, the number of relatives; fewer relatives where the hundred have fewer structures.
          sources: sources that are allowed; None allows every source.
          families: families that are allowed; None allows every family.
          max_parameters: largest number of parameters; None for any number.
          max_multiply_adds: largest number of multiply-adds for one input; None for any number.
          has: operators that an architecture must have; see `filters.allowed`.
          twins: True for a line for every architecture, False for a line for all architectures of one structure.
          **options: options of `importers.import_model`, such as the input_shape of a model that leaves it open.

        Raises:
          ConfigurationError: no such file, source, family or operator, options for an indexed architecture, or filters
            that no architecture passes.
          InvalidArchitectureError: the graph is empty or has operators that the encoder does not know.
        """
        asked, embedding, row, notes = self._read(query, options)
        (matches,) = self.index.search(
            embedding,
            max(count, CANDIDATES),
            sources=sources,
            families=families,
            without=[] if row is None else [str(self.index.names[row])],
            allowed=filters.allowed(self._collection, max_parameters, max_multiply_adds, has),
        )
        candidates = self._collection[np.array([match.row for match in matches])]
        surroundings, compared = Surroundings(asked.graphs), Surroundings(candidates.graphs)
        covered = surroundings.shared(0, np.arange(len(matches)), compared)
        scores = score(np.array([match.similarity for match in matches]), covered)
        same = compared.structures == surroundings.structures[0]
        # Of equal scores the architecture that is closest in size comes first.
        gaps = np.abs(np.log1p(candidates.parameters) - np.log1p(asked.parameters[0]))
        ranked = order(scores, covered, gaps)
        ranked = np.concatenate([ranked[same[ranked]], ranked[~same[ranked]]])
        lines = [[rank] for rank in ranked.tolist()] if twins else _groups(ranked, candidates, compared)
        lines = lines[:count]
        similarities = np.where(same, 1.0, self._calibration(scores))
        firsts = np.array([line[0] for line in lines])
        explanation = explain(asked.graphs, candidates.graphs[firsts])
        traits = Traits.of(asked.graph(0))
        relatives = tuple(
            Relative(
                match=matches[rank],
                similarity=float(similarities[rank]),
                covered=float(covered[rank]),
                same_structure=bool(same[rank]),
                twins=tuple(matches[twin] for twin in twinned),
                parameters=int(candidates.parameters[rank]),
                multiply_adds=int(candidates.multiply_adds[rank]),
                operators=int(candidates.graphs.num_nodes[rank]),
                differences=differences(traits, Traits.of(candidates.graph(rank))),
                shared=shared.motifs,
                pieces=shared.pieces,
                sizes=shared.sizes,
            )
            for (rank, *twinned), shared in zip(lines, explanation.relatives, strict=True)
        )
        cut = (explanation.pieces, explanation.sizes, explanation.kinds)
        return Answer(asked, embedding[0], relatives, *cut, notes)

    def compare(self, first: Model, second: Model, **options: Unpack[Options]) -> Pair:
        """Two models side by side.

        Args:
          first: model, or name of an indexed architecture.
          second: model to compare with, or name of an indexed architecture.
          **options: options of `importers.import_model`, for every model that is not indexed.

        Raises:
          ConfigurationError, InvalidArchitectureError: see `relatives`.
        """
        read = [self._read(model, options if self._row(model) is None else {}) for model in (first, second)]
        cosine = float(read[0][1][0] @ read[1][1][0])
        return Pair.of((read[0][0], read[1][0]), cosine, self._calibration)

    def clusters(self, models: Iterable[Model], **options: Unpack[Options]) -> "Clusters":
        """Models by their likeness: a tree, and pairs that are nearly the same.

        Args:
          models: two models or more, or names of indexed architectures.
          **options: options of `importers.import_model`, for every model that is not indexed.

        Raises:
          ConfigurationError: fewer than two models; see also `relatives`.
        """
        from tfnas.retrieval.clusters import Clusters  # slow to import: SciPy and Matplotlib

        read = [self._read(model, options if self._row(model) is None else {}) for model in models]
        if len(read) < 2:
            raise ConfigurationError(f"{len(read)} models, expected two or more to compare")
        collection = Collection.concatenate([asked for asked, *_ in read])
        return Clusters.of(collection, np.concatenate([embedding for _, embedding, *_ in read]))

    def _row(self, model: Model) -> int | None:
        return self.index.row(model) if isinstance(model, str) and model in self.index else None

    def _read(self, query: Model, options: Options) -> tuple[Collection, np.ndarray, int | None, tuple[str, ...]]:
        """A model as a collection, its embedding `[1, D]` of length 1, its row in the index, and the notes."""
        row = self._row(query)
        if row is None:
            graph = import_model(query, **options)
            collection = Collection.from_graphs([graph])
            embedding = self.encoder.embed(collection.graphs)
            return collection, embedding / np.linalg.norm(embedding), None, graph.notes
        if options:
            raise ConfigurationError(f"{', '.join(options)}: for a model, and {query} is an indexed architecture")
        return self._collection[np.array([row])], self.index.embeddings[row : row + 1], row, ()


_EQUAL_SIZE, _TWIN_SHARE = 0.01, 0.8  # difference of log parameters, and shared operators, of twins from two sources


def _groups(ranked: np.ndarray, candidates: Collection, surroundings: Surroundings) -> list[list[int]]:
    """Places of architectures in order, those of twins together.

    Twins are of one structure, or come from two sources, have parameters within 1 % and share 80 % of the operators.
    """
    lines: list[list[int]] = []
    sizes = np.log1p(candidates.parameters)
    for rank in ranked.tolist():
        for line in lines:
            first = line[0]
            if surroundings.structures[rank] == surroundings.structures[first]:
                break
            close = candidates.sources[rank] != candidates.sources[first]
            close &= bool(candidates.parameters[rank]) and abs(sizes[rank] - sizes[first]) <= _EQUAL_SIZE
            if close and surroundings.shared(rank, np.array([first]))[0] >= _TWIN_SHARE:
                break
        else:
            lines.append([rank])
            continue
        line.append(rank)
    return lines


def _shipped_encoder(index: Index) -> pathlib.Path:
    """The folder of the shipped encoder that an index was made with.

    Raises:
      MismatchError: the index was made with no shipped encoder.
    """
    for name in shipped_names():
        folder = SHIPPED / name
        if artefacts.fingerprint(artefacts.parse_manifest(folder)) == index.manifest.get("encoder"):
            return folder
    raise MismatchError(
        "the index was not made with an encoder that ships with tfnas, expected the folder of its encoder"
    )
