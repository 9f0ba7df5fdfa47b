"""Indexes made from corpora, from an older index, or from both."""

from collections.abc import Sequence

from tfnas import artefacts
from tfnas.encoders.base import GraphEncoder
from tfnas.errors import ConfigurationError, MismatchError
from tfnas.retrieval.calibration import Calibration
from tfnas.retrieval.collection import Collection
from tfnas.retrieval.index import Index


def gather(
    corpora: Sequence[artefacts.PathLike],
    encoder: GraphEncoder | None,
    *,
    add_to: artefacts.PathLike | None = None,
    remove: Sequence[str] = (),
) -> Collection:
    """The architectures of a new index.

    Args:
      corpora: folders of graph corpora.
      encoder: encoder of the new index; None for an encoder that is computed from the architectures.
      add_to: folder of an index whose architectures come first; None for a new collection.
      remove: names that are left out of the index of `add_to`.

    Raises:
      ConfigurationError: no corpus and nothing to remove, `remove` without `add_to`, an unknown name, or an index
        without graphs.
      MismatchError: the index of `add_to` was made with another encoder.
    """
    if not corpora and not (add_to and (remove or encoder is None)):
        raise ConfigurationError("--corpus is empty; expected a corpus, or --add_to with --remove or --fit")
    if remove and not add_to:
        raise ConfigurationError("--remove needs the index of --add_to")
    collections = []
    if add_to:
        index = Index.load(add_to)
        if encoder is not None and index.manifest.get("encoder") != encoder.fingerprint:
            raise MismatchError(f"{add_to}: made with another encoder than {encoder.folder}")
        if index.collection is None:
            raise ConfigurationError(f"{add_to}: holds no graphs to embed again")
        collections.append(index.remove(remove).collection)
    if corpora:
        collections.append(Collection.from_corpora(corpora))
    return Collection.concatenate(collections)


def build_index(
    collection: Collection,
    encoder: GraphEncoder,
    folder: artefacts.PathLike,
    calibration: Calibration | None = None,
) -> Index:
    """Embeds a collection and writes its index.

    Args:
      collection: N architectures.
      encoder: encoder of the index.
      folder: folder of the index; replaced as a whole.
      calibration: meaning of scores, for an encoder that has seen the collection; None for the calibration on the
        collection's own pairs.

    Raises:
      InvalidArchitectureError: operators that the encoder does not know.
    """
    index = Index.of(encoder.embed(collection.graphs), collection, calibration)
    index.save(folder, encoder=encoder.fingerprint)
    return index
