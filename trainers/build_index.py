"""Embeds known architectures and writes the index that `trainers.retrieve` searches.

  python -m trainers.build_index --corpus=OUT/corpus --output_dir=INDEX

A corpus is what `trainers.build_corpus` wrote; several are joined. --add_to starts from an existing index of the same
encoder; --remove takes architectures out of it.
"""

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags
from tfnas.errors import ConfigurationError, MismatchError

_CORPUS = flags.DEFINE_list("corpus", [], "Folders of graph corpora.")
_ENCODER = flags.DEFINE_string("encoder", None, "Folder of an exported motif encoder; by default the shipped one.")
_ADD_TO = flags.DEFINE_string("add_to", None, "Folder of an index that is copied and added to.")
_REMOVE = flags.DEFINE_list("remove", [], "Names that are left out of the index of --add_to.")
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `tfnas.retrieval.relatives.build_index`."""
    if not _CORPUS.value and not (_ADD_TO.value and _REMOVE.value):
        raise ConfigurationError("--corpus is empty; expected a corpus, or --add_to with --remove")
    if _REMOVE.value and not _ADD_TO.value:
        raise ConfigurationError("--remove needs the index of --add_to")
    tfnas.runtime.one_thread_per_operation()

    from tfnas.encoders.motif.saved import SavedMotifEncoder
    from tfnas.retrieval.collection import Collection
    from tfnas.retrieval.index import Index
    from tfnas.retrieval.relatives import build_index

    encoder = SavedMotifEncoder(_ENCODER.value)
    parts = []
    if _ADD_TO.value:
        before = Index.load(_ADD_TO.value)
        if before.manifest.get("encoder") != encoder.fingerprint:
            raise MismatchError(f"{_ADD_TO.value}: made with another encoder than {encoder.folder}")
        if before.collection is None:
            raise ConfigurationError(f"{_ADD_TO.value}: holds no graphs to embed again")
        parts.append(before.remove(_REMOVE.value).collection)
    if _CORPUS.value:
        parts.append(Collection.from_corpora(_CORPUS.value))
    settings = {"program": "build_index", "corpus": _CORPUS.value, "encoder": _ENCODER.value}
    settings |= {"add_to": _ADD_TO.value, "remove": _REMOVE.value}
    # Everything is in memory by now: the folder that is overwritten may be the one that was read.
    output_dir = tfnas_flags.output_folder(settings)
    index = build_index(Collection.concatenate(parts), encoder, output_dir / "index")
    print(f"{len(index):,} architectures in {output_dir}/index")


if __name__ == "__main__":
    tfnas_flags.run(main)
