"""Finds known architectures that are like a model, says what they share and how they differ.

  tfnas retrieve --model=my_model.keras --top_k=10 --output_dir=relatives
  tfnas retrieve --model=timm/resnet50 --max_parameters=5000000 --has=attention
  tfnas retrieve --model=my_model.keras --against=timm/resnet50
  tfnas retrieve --model=my_models --output_dir=clusters

A model is a file such as .keras, .onnx or .tflite, the folder of a SavedModel, the name of an indexed architecture, or
an architecture such as nasbench201:13714 in any notation that its space reads. --against compares two models. A folder
of models makes a tree of clusters and a list of near-duplicates. Weights are not read and nothing in a model is
executed. --output_dir keeps the answer as a web page that needs no other file, as CSV and as JSON, or the figure of
the clusters.
"""

import gc

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags
from tfnas.errors import ConfigurationError

_MODEL = tfnas_flags.define_path(
    "model",
    None,
    "The model's file or folder, an indexed name, SPACE:ARCHITECTURE, or a folder of models.",
    required=True,
)
_AGAINST = tfnas_flags.define_path("against", None, "Model to compare with, named as --model is.")
_INDEX = tfnas_flags.define_path("index", "architecture_index", "Index: a shipped name or a folder.")
_ENCODER = tfnas_flags.define_path(
    "encoder", None, "Encoder of the index: a shipped name or a folder. The index knows a shipped encoder by itself."
)
_TOP_K = flags.DEFINE_integer("top_k", 10, "Number of relatives.", lower_bound=1)
_SOURCES = flags.DEFINE_list("sources", None, "Allow architectures of these sources alone.")
_FAMILIES = flags.DEFINE_list("families", None, "Allow architectures of these families alone.")
_MAX_PARAMETERS = flags.DEFINE_integer("max_parameters", None, "Largest number of parameters of a relative.")
_MAX_MULTIPLY_ADDS = flags.DEFINE_integer(
    "max_multiply_adds", None, "Largest number of multiply-adds of a relative for one input."
)
_HAS = flags.DEFINE_list("has", [], "Operators that a relative must have, such as depthwise_conv, or attention.")
_ALL = flags.DEFINE_boolean("all", False, "Show a line for each architecture, not for each structure.")
_TRUST = tfnas_flags.define_trust()
tfnas_flags.define_output(required=False)
tfnas_flags.define_import_options()


def main() -> None:
    """Flags -> `tfnas.retrieval.relatives.Retriever`."""
    options = tfnas_flags.import_options()
    tfnas.runtime.one_thread_per_operation()

    from tfnas import saved_models
    from tfnas.networks.models import named_models
    from tfnas.retrieval.relatives import Retriever

    encoder = saved_models.folder(_ENCODER.value) if _ENCODER.value else None
    retriever = Retriever.load(saved_models.folder(_INDEX.value), encoder, trust=_TRUST.value)

    def models(text):
        return [text] if text in retriever.index else named_models([text])

    gc.freeze()  # or every collection would look through the modules of TensorFlow and Keras again
    asked = models(_MODEL.value)
    if _AGAINST.value:
        against = models(_AGAINST.value)
        if len(asked) + len(against) != 2:
            raise ConfigurationError(f"--against={_AGAINST.value}: compares two models, expected no folder of models")
        print(retriever.compare(*asked, *against, **options))
    elif len(asked) > 1:
        _cluster(retriever, asked, options)
    else:
        _answer(retriever, asked[0], options)


def _answer(retriever, model, options) -> None:
    filters = {
        "sources": _SOURCES.value,
        "families": _FAMILIES.value,
        "max_parameters": _MAX_PARAMETERS.value,
        "max_multiply_adds": _MAX_MULTIPLY_ADDS.value,
        "has": _HAS.value,
        "twins": _ALL.value,
    }
    answer = retriever.relatives(model, _TOP_K.value, **filters, **options)
    print(answer)
    output_dir = _output_folder(filters | {"top_k": _TOP_K.value})
    if output_dir:
        from tfnas.retrieval.answer import write_relatives
        from tfnas.retrieval.page import write_page  # slow to import: SciPy

        write_page(answer, retriever.index, output_dir / "relatives.html")
        for suffix in ("csv", "json"):
            write_relatives(answer, output_dir / f"relatives.{suffix}")
        print(f"\nmap, motifs and drawings in {output_dir}/relatives.html")


def _cluster(retriever, models, options) -> None:
    from tfnas.retrieval.clusters import draw_dendrogram

    clusters = retriever.clusters(models, **options)
    print(clusters)
    output_dir = _output_folder({})
    if output_dir:
        draw_dendrogram(clusters, output_dir / "clusters.png")
        print(f"\ntree of clusters in {output_dir}/clusters.png")


def _output_folder(settings):
    """The folder of --output_dir; None without the flag."""
    if not flags.FLAGS.output_dir:
        return None
    where = {"program": "retrieve", "model": _MODEL.value, "index": _INDEX.value, "encoder": _ENCODER.value}
    return tfnas_flags.output_folder(where | settings)


if __name__ == "__main__":
    tfnas_flags.run(main)
