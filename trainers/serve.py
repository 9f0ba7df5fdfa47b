"""Serves an exported model over HTTP, as TensorFlow Serving would.

  tfnas serve --model=arch2vec_nasbench201

  curl localhost:8501/v1/models/arch2vec_nasbench201/metadata

docs/how_to/serving.md has requests, and the command for TensorFlow Serving itself.
"""

from absl import flags

from tfnas import flags as tfnas_flags

_MODEL = tfnas_flags.define_path("model", None, "Exported model: a shipped name or a folder.", required=True)
_NAME = flags.DEFINE_string("name", None, "Name in the address; by default the folder's.")
_HOST = flags.DEFINE_string("host", "127.0.0.1", "Address to listen at; 0.0.0.0 for all.")
_PORT = flags.DEFINE_integer("port", 8501, "Port to listen at.", lower_bound=1, upper_bound=65535)


def main() -> None:
    """Flags -> `tfnas.serving.http.serve`."""
    from tfnas import saved_models
    from tfnas.serving import http

    folder = saved_models.folder(_MODEL.value).resolve()
    http.serve(_NAME.value or folder.name, folder, _HOST.value, _PORT.value)


if __name__ == "__main__":
    tfnas_flags.run(main)
