"""Builds a corpus of computation graphs, from real models or from search spaces.

  tfnas build_corpus --sources=keras,tf_keras --output_dir=OUT
  tfnas build_corpus --sources=timm --torch_python=.venv-corpus/bin/python --output_dir=OUT
  tfnas build_corpus --spaces=nasbench101:50000,nasbench201:4096,darts:10000 --output_dir=OUT

The real models need no download. OUT gets the corpus; of real models also summary.json, failures.json with reasons,
families.md and statistics.png.
"""

from absl import flags

from tfnas import flags as tfnas_flags
from tfnas.errors import ConfigurationError
from tfnas.networks.registry import BENCHMARK, LAYOUTS
from tfnas.spaces import get_space

_SOURCES = flags.DEFINE_list(
    "sources",
    ["keras", "tf_keras"],
    "Packages to take models from: keras, tf_keras, keras_hub; with --torch_python also timm, transformers, "
    "torchvision, pytorchcv, segmentation_models_pytorch, diffusers, torchaudio, monai, spandrel.",
)
_FOLDER = tfnas_flags.define_path("folder", None, "Folder whose .keras and .onnx files and SavedModels are taken too.")
_TORCH_PYTHON = tfnas_flags.define_path("torch_python", "", "Interpreter with torch and the PyTorch packages.")
_TIMEOUT = flags.DEFINE_float("timeout_seconds", 120.0, "Longest export of one PyTorch model.", lower_bound=1.0)
_NUM_WORKERS = flags.DEFINE_integer("num_workers", 2, "Processes on this machine.", lower_bound=1)
_LIMIT = flags.DEFINE_integer("limit", None, "Take only the first models of the list.", lower_bound=1)
_BEAM_OPTIONS = flags.DEFINE_multi_string("beam_option", [], "Flag of an Apache Beam runner; may be repeated.")
_SPACES = flags.DEFINE_list("spaces", [], "Instead of models: random architectures, as space:count.")
_LAYOUT = flags.DEFINE_enum("layout", BENCHMARK, LAYOUTS, "Layout of the networks of --spaces.")
_SEED = flags.DEFINE_integer("seed", 1, "Seed of the architectures of --spaces.", lower_bound=0)
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `tfnas.corpora.builder.build_corpus` or `tfnas.corpora.spaces.write_space_corpus`."""
    settings = {"program": "build_corpus", "sources": _SOURCES.value, "folder": _FOLDER.value, "limit": _LIMIT.value}
    settings |= {"spaces": _SPACES.value, "layout": _LAYOUT.value, "seed": _SEED.value}
    counts = dict(text.partition(":")[::2] for text in _SPACES.value)
    if not all(count.isdecimal() for count in counts.values()) or len(counts) < len(_SPACES.value):
        raise ConfigurationError(
            f"--spaces={','.join(_SPACES.value)}, expected space:count, separated by commas, every space once"
        )
    requests = [(get_space(name), int(count)) for name, count in counts.items()]
    output_dir = tfnas_flags.output_folder(settings)

    if counts:
        from tfnas.corpora import spaces

        total = spaces.write_space_corpus(
            output_dir / "corpus",
            requests,
            layout=_LAYOUT.value,
            seed=_SEED.value,
            num_workers=_NUM_WORKERS.value,
        )
        print(f"{total:,} graphs in {output_dir}/corpus")
        return

    from tfnas.corpora import builder, sources

    jobs = sources.list_jobs(_SOURCES.value, _FOLDER.value, _TORCH_PYTHON.value)[: _LIMIT.value]
    summary = builder.build_corpus(
        jobs,
        output_dir,
        num_workers=_NUM_WORKERS.value,
        torch_python=_TORCH_PYTHON.value,
        timeout_seconds=_TIMEOUT.value,
        beam_options=_BEAM_OPTIONS.value,
    )
    print(
        f"{summary['models']} models in {len(summary['families'])} families, {summary['nodes']:,} operators; "
        f"{summary['failures']} failures, listed in {output_dir}/failures.json"
    )


if __name__ == "__main__":
    tfnas_flags.run(main)
