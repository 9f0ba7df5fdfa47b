"""Finds known architectures that are like a model, says what they share, and draws it.

  tfnas retrieve --model=my_model.keras --top_k=10
  tfnas retrieve --model=timm/resnet50

The model is a file such as .keras, .onnx or .tflite, the folder of a SavedModel, the name of an indexed architecture,
or an architecture such as nasbench201:13714 in any notation that its space reads. Its weights are not read and nothing
in it is executed. The answer is printed, and goes to a web page that needs no other file.
"""

import pathlib

from absl import flags

import tfnas
from tfnas import artefacts
from tfnas import flags as tfnas_flags
from tfnas.errors import ConfigurationError

_MODEL = tfnas_flags.define_path(
    "model", None, "The model's file or folder, an indexed name, or SPACE:ARCHITECTURE.", required=True
)
_INDEX = tfnas_flags.define_path("index", "architecture_index", "Index: a shipped name or a folder.")
_ENCODER = tfnas_flags.define_path(
    "encoder",
    None,
    "Encoder of the index: a shipped name or a folder. The index knows a shipped encoder by itself.",
)
_TOP_K = flags.DEFINE_integer("top_k", 10, "Number of relatives.", lower_bound=1)
_SOURCES = flags.DEFINE_list("sources", None, "Allow architectures of these sources alone.")
_FAMILIES = flags.DEFINE_list("families", None, "Allow architectures of these families alone.")
_PAGE = tfnas_flags.define_path("page", "relatives.html", "File of the web page; empty for no page.")
_JSON = tfnas_flags.define_path("json", None, "File of the answer as JSON; no file by default.")
tfnas_flags.define_import_options()


def main() -> None:
    """Flags -> `tfnas.retrieval.relatives.Retriever`."""
    options = tfnas_flags.import_options()
    if _PAGE.value and (pathlib.Path(_PAGE.value).is_dir() or not pathlib.Path(_PAGE.value).parent.is_dir()):
        raise ConfigurationError(f"--page={_PAGE.value}, expected a file in a folder that exists")
    tfnas.runtime.one_thread_per_operation()

    from tfnas import saved_models
    from tfnas.networks.models import named_model
    from tfnas.retrieval.page import write_page
    from tfnas.retrieval.relatives import Retriever, relatives_record

    encoder = saved_models.folder(_ENCODER.value) if _ENCODER.value else None
    retriever = Retriever.load(saved_models.folder(_INDEX.value), encoder)
    query = _MODEL.value if _MODEL.value in retriever.index.names else named_model(_MODEL.value)
    answer = retriever.relatives(query, _TOP_K.value, sources=_SOURCES.value, families=_FAMILIES.value, **options)
    print(answer)
    if _JSON.value:
        record = {"model": _MODEL.value, "relatives": relatives_record(answer)}
        artefacts.write_json(_JSON.value, record)
    if _PAGE.value:
        write_page(answer, retriever.index, pathlib.Path(_PAGE.value))
        print(f"\nMap, motifs and drawings: {_PAGE.value}")


if __name__ == "__main__":
    tfnas_flags.run(main)
