"""Finds known architectures that are like a model, says what they share, and draws it.

  python -m trainers.retrieve --model=my_model.keras --top_k=10
  python -m trainers.retrieve --model=timm/resnet50

The model is a .keras file, the folder of a SavedModel, an .onnx file, or the name of an indexed architecture. Its
weights are not read and nothing in it is executed. The answer is printed, and goes to one web page that needs no other
file.
"""

import dataclasses
import pathlib

from absl import flags

import tfnas
from tfnas import artefacts
from tfnas import flags as tfnas_flags
from tfnas.errors import ConfigurationError
from tfnas.retrieval import relatives

_MODEL = flags.DEFINE_string("model", None, "The model's file or folder, or an indexed name.", required=True)
_INDEX = flags.DEFINE_string("index", None, "Folder of an index; by default the shipped one.")
_ENCODER = flags.DEFINE_string("encoder", None, "Folder of the encoder of the index; by default the shipped one.")
_TOP_K = flags.DEFINE_integer("top_k", 10, "Number of relatives.", lower_bound=1)
_SOURCES = flags.DEFINE_list("sources", None, "Allow architectures of these sources alone.")
_FAMILIES = flags.DEFINE_list("families", None, "Allow architectures of these families alone.")
_INPUT_SHAPE = flags.DEFINE_list("input_shape", None, "Shape of the input with the batch first, where it is open.")
_PAGE = flags.DEFINE_string("page", "relatives.html", "Where the web page goes; empty for none.")
_JSON = flags.DEFINE_string("json", None, "Where the answer goes as JSON; none by default.")


def main() -> None:
    """Flags -> `tfnas.retrieval.relatives.Retriever`."""
    shape = _INPUT_SHAPE.value
    if shape is not None and not all(extent.isdigit() and int(extent) > 0 for extent in shape):
        raise ConfigurationError(f"--input_shape={','.join(shape)}, expected positive whole numbers")

    if _PAGE.value and (pathlib.Path(_PAGE.value).is_dir() or not pathlib.Path(_PAGE.value).parent.is_dir()):
        raise ConfigurationError(f"--page={_PAGE.value}, expected a file in a folder that exists")

    tfnas.runtime.one_thread_per_operation()

    from tfnas.encoders.motif.saved import SavedMotifEncoder
    from tfnas.graphs import importers
    from tfnas.retrieval.index import Index
    from tfnas.retrieval.page import write_page
    from tfnas.retrieval.relatives import Retriever
    from tfnas.saved_models import SHIPPED

    index = Index.load(_INDEX.value or SHIPPED / "architecture_index")
    retriever = Retriever(index, SavedMotifEncoder(_ENCODER.value))
    query = _MODEL.value
    if query in index.names and shape is not None:
        raise ConfigurationError(f"--input_shape goes with a file, and {query} is an indexed architecture")
    if query not in index.names:
        query = importers.from_file(query, input_shape=None if shape is None else [int(extent) for extent in shape])
    answer = retriever.ask(query, _TOP_K.value, sources=_SOURCES.value, families=_FAMILIES.value)
    print(relatives.relatives_table(answer))
    if _JSON.value:
        found = [
            dataclasses.asdict(relative.match)
            | {"covered": relative.covered, "shared": [dataclasses.asdict(motif) for motif in relative.shared]}
            for relative in answer.relatives
        ]
        artefacts.write_json(_JSON.value, {"model": _MODEL.value, "relatives": found})
    if _PAGE.value:
        write_page(answer, index, pathlib.Path(_PAGE.value))
        print(f"\nMap, motifs and drawings: {_PAGE.value}")


if __name__ == "__main__":
    tfnas_flags.run(main)
