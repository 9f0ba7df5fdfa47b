"""Indexes made from corpora, from an older index, or from both."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfnas import artefacts
from tfnas.corpora import graphs as graph_corpora
from tfnas.encoders.base import GraphEncoder
from tfnas.errors import ConfigurationError, MismatchError
from tfnas.retrieval.calibration import Calibration
from tfnas.retrieval.collection import Collection
from tfnas.retrieval.index import Index
from tfnas.retrieval.searchers import InvertedLists


@dataclasses.dataclass(frozen=True, eq=False)
class Holding:
    """What a new index holds.

    Attributes:
      collection: N architectures.
      embeddings: float32 `[n, D]`, embeddings of the first n architectures, from the index of `add_to`; n may be 0.
      packages: version and licence of the packages that define the architectures, by source.
    """

    collection: Collection
    embeddings: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 0), np.float32))
    packages: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)


def gather(
    corpora: Sequence[artefacts.PathLike],
    encoder: GraphEncoder | None,
    *,
    add_to: artefacts.PathLike | None = None,
    remove: Sequence[str] = (),
    trust: bool = False,
) -> Holding:
    """The architectures of a new index.

    Args:
      corpora: folders of graph corpora.
      encoder: encoder of the new index; None for an encoder that is computed from the architectures.
      add_to: folder of an index whose architectures come first, with their embeddings if `encoder` made them;
        None for a new collection.
      remove: names that are left out of the index of `add_to`.
      trust: True to read an index whose SavedModel may do more than compute; see `Index.load`.

    Raises:
      ConfigurationError: no corpus and nothing to remove, `remove` without `add_to`, an unknown name, or an index
        without graphs.
      MismatchError: the index of `add_to` was made with another encoder.
    """
    if not corpora and not (add_to and (remove or encoder is None)):
        raise ConfigurationError("--corpus is empty; expected a corpus, or --add_to with --remove or --fit")
    if remove and not add_to:
        raise ConfigurationError("--remove needs the index of --add_to")
    collections: list[Collection] = []
    embeddings = np.zeros((0, 0), np.float32)
    packages: dict[str, dict[str, str]] = {}
    if add_to:
        index = Index.load(add_to, trust=trust)
        if encoder is not None and index.manifest.get("encoder") != encoder.fingerprint:
            raise MismatchError(f"{add_to}: made with another encoder than {encoder.folder}")
        packages |= index.manifest.get("packages", {})
        index = index.remove(remove)
        if index.collection is None:
            raise ConfigurationError(f"{add_to}: holds no graphs, which an index that is added to needs")
        collections.append(index.collection)
        embeddings = embeddings if encoder is None else index.embeddings
    if corpora:
        collections.append(Collection.from_corpora(corpora))
        packages |= _packages(corpora)
    return Holding(Collection.concatenate(collections), embeddings, packages)


def _packages(corpora: Sequence[artefacts.PathLike]) -> dict[str, Any]:
    manifests = [artefacts.read_manifest(folder, kind=graph_corpora.KIND) for folder in corpora]
    return {source: facts for manifest in manifests for source, facts in manifest.get("packages", {}).items()}


def build_index(
    holding: Holding,
    encoder: GraphEncoder,
    folder: artefacts.PathLike,
    calibration: Calibration | None = None,
    search: str = "exact",
) -> Index:
    """Embeds the architectures that have no embedding yet, and writes the index.

    Args:
      holding: architectures of the index, with the embeddings that are known.
      encoder: encoder of the index.
      folder: folder of the index; replaced as a whole.
      calibration: meaning of scores, for an encoder that has seen the collection; None for the calibration on the
        collection's own pairs.
      search: search that the index offers, `exact`, or `ivf` for inverted lists too.

    Raises:
      ConfigurationError: inverted lists of few architectures, or without the package faiss-cpu.
      InvalidArchitectureError: operators that the encoder does not know.
    """
    embeddings = holding.embeddings
    added = holding.collection.graphs[np.arange(len(embeddings), len(holding.collection))]
    if len(added):
        fresh = encoder.embed(added)
        embeddings = np.concatenate([embeddings, fresh]) if len(embeddings) else fresh
    index = Index.of(embeddings, holding.collection, calibration)
    if search == "ivf":
        index.lists = InvertedLists.fit(index.embeddings)
    index.save(folder, encoder=encoder.fingerprint, packages=holding.packages)
    return index
