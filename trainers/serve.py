"""Serves exported models over HTTP, as TensorFlow Serving would.

  tfnas serve --model=arch2vec_nasbench201 --model=predictor=cg_predictor

  curl localhost:8501/v1/models/arch2vec_nasbench201/metadata

docs/how_to/serving.md has requests, limits, and the command for TensorFlow Serving itself.
"""

import re

from absl import flags

from tfnas import flags as tfnas_flags
from tfnas.serving.limits import Limits

_MODELS = flags.DEFINE_multi_string(
    "model",
    None,
    "Exported model: a shipped name, a folder, or a folder of numbered versions, of which the newest is served. "
    "NAME=FOLDER gives the model a name in addresses, by default the folder's. Repeat the flag for several models.",
    required=True,
)
_HOST = flags.DEFINE_string("host", "127.0.0.1", "Address to listen at; 0.0.0.0 for all.")
_PORT = flags.DEFINE_integer("port", 8501, "Port to listen at.", lower_bound=1, upper_bound=65535)
_BATCHING = flags.DEFINE_boolean("batching", True, "Compute rows of several requests together.")
_RELOAD_SECONDS = flags.DEFINE_float(
    "reload_seconds", 10.0, "Time in seconds between two looks for newer versions; 0 to never look.", lower_bound=0.0
)
_LOG_REQUESTS = flags.DEFINE_boolean("log_requests", True, "Print a line of JSON for every request.")
_TRUST = tfnas_flags.define_trust()
tfnas_flags.define_from_rows({"requests": Limits})


def main() -> None:
    """Flags -> `tfnas.serving.serve`."""
    from tfnas import saved_models, serving

    models = {}
    for text in _MODELS.value:
        name, path = text.split("=", 1) if re.match(r"[^/]+=", text) else ("", text)
        folder = saved_models.folder(path).resolve()
        models[name or folder.name] = folder
    serving.serve(
        models,
        _HOST.value,
        _PORT.value,
        Limits(**tfnas_flags.overrides(Limits)),
        batching=_BATCHING.value,
        reload_seconds=_RELOAD_SECONDS.value,
        log_requests=_LOG_REQUESTS.value,
        trust=_TRUST.value,
    )


if __name__ == "__main__":
    tfnas_flags.run(main)
