"""Files that hold no architecture, or an architecture that tfnas does not read: what to give instead."""

import pathlib

_PICKLE = "a pickle, which tfnas never opens; save the model with torch.export.save (.pt2) or torch.onnx.export (.onnx)"
_WEIGHTS = "weights without an architecture; save the whole model, as .keras, .pt2 or .onnx"
_ENGINE = "a program that was compiled for one device; give the model from which it was compiled"
HINTS: dict[str, str] = {
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".bin", ".pkl"), _PICKLE),
    **dict.fromkeys((".safetensors", ".weights.h5", ".npz", ".gguf", ".pdiparams"), _WEIGHTS),
    **dict.fromkeys((".engine", ".plan", ".trt"), _ENGINE),
    ".ort": "an optimised file of onnxruntime; give the .onnx file from which it was made",
    ".pdmodel": "a program of Paddle; convert it with paddle2onnx",
    **dict.fromkeys((".mlmodel", ".mlpackage"), "a Core ML model; export the model from its framework to .onnx"),
}
"""Advice by the ending of a file's name."""


def hint(path: pathlib.Path) -> str | None:
    """Advice for a file that tfnas does not read, None for any other name.

    Example:
      >>> hint(pathlib.Path("net.weights.h5")).partition(";")[0]
      'weights without an architecture'
    """
    return next((advice for ending, advice in HINTS.items() if path.name.lower().endswith(ending)), None)
