"""Finds known architectures that are like a model, says what they share, and draws it.

  python -m trainers.retrieve --model=my_model.keras --top_k=10
  python -m trainers.retrieve --model=timm/resnet50

The model is a .keras file, the folder of a SavedModel, an .onnx file, or the name of an indexed architecture. Its
weights are not read and nothing in it is executed. The answer is printed, and goes to a web page that needs no other
file.
"""

import pathlib

from absl import flags

import tfnas
from tfnas import artefacts
from tfnas import flags as tfnas_flags
from tfnas.errors import ConfigurationError

_MODEL = flags.DEFINE_string("model", None, "The model's file or folder, or an indexed name.", required=True)
_INDEX = flags.DEFINE_string("index", None, "Folder of an index; by default the shipped one.")
_ENCODER = flags.DEFINE_string("encoder", None, "Folder of the encoder of the index; by default the shipped one.")
_TOP_K = flags.DEFINE_integer("top_k", 10, "Number of relatives.", lower_bound=1)
_SOURCES = flags.DEFINE_list("sources", None, "Allow architectures of these sources alone.")
_FAMILIES = flags.DEFINE_list("families", None, "Allow architectures of these families alone.")
_PAGE = flags.DEFINE_string("page", "relatives.html", "File of the web page; empty for no page.")
_JSON = flags.DEFINE_string("json", None, "File of the answer as JSON; no file by default.")
tfnas_flags.define_input_shape()


def main() -> None:
    """Flags -> `tfnas.retrieval.relatives.Retriever`."""
    shape = tfnas_flags.input_shape()
    if _PAGE.value and (pathlib.Path(_PAGE.value).is_dir() or not pathlib.Path(_PAGE.value).parent.is_dir()):
        raise ConfigurationError(f"--page={_PAGE.value}, expected a file in a folder that exists")
    tfnas.runtime.one_thread_per_operation()

    from tfnas.retrieval.page import write_page
    from tfnas.retrieval.relatives import Retriever, relatives_record

    retriever = Retriever.load(_INDEX.value, _ENCODER.value)
    answer = retriever.relatives(
        _MODEL.value, _TOP_K.value, sources=_SOURCES.value, families=_FAMILIES.value, input_shape=shape
    )
    print(answer)
    if _JSON.value:
        record = {"model": _MODEL.value, "relatives": relatives_record(answer)}
        artefacts.write_json(_JSON.value, record)
    if _PAGE.value:
        write_page(answer, retriever.index, pathlib.Path(_PAGE.value))
        print(f"\nMap, motifs and drawings: {_PAGE.value}")


if __name__ == "__main__":
    tfnas_flags.run(main)
