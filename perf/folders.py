"""What a further model of a folder costs `tfnas predict`.

  python -m perf.folders

Saves 20 residual networks of Keras 3 as .keras files, and ranks 2 of them and 200 copies, in turn, each in a process
of its own. Records CPU-seconds of every process, and their difference per further model.
"""

import argparse
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile

import keras

from perf.results import Figure, record

ROOT = pathlib.Path(__file__).resolve().parents[1]
KINDS, FEW, MANY = 20, 2, 200
ROUNDS = 3


def network(number: int) -> keras.Model:
    """A residual network of 32-pixel images with three stages of 2 to 5 blocks, 60 to 120 layers."""
    values = images = keras.Input((32, 32, 3))
    for stage in range(3):
        for block in range(2 + (number + stage) % 4):
            strides, width = 1 + (block == 0 and stage > 0), (16 + 4 * (number % 5)) * 2**stage
            skip = values if values.shape[-1] == width else keras.layers.Conv2D(width, 1, strides)(values)
            for step in (strides, 1):
                values = keras.layers.Conv2D(width, 3, step, "same", use_bias=False)(values)
                values = keras.layers.BatchNormalization()(values)
                values = keras.layers.ReLU()(values)
            values = keras.layers.Add()([values, skip])
    return keras.Model(images, keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(values)))


def cpu_seconds(folder: pathlib.Path) -> float:
    """Processor time of a process that ranks the models of a folder."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "trainers.predict", f"--model={folder}"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measures, and records the figures."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    measured: dict[str, list[float]] = {"few": [], "many": [], "further": []}
    with tempfile.TemporaryDirectory() as scratch:
        few, many = (pathlib.Path(scratch, name) for name in ("few", "many"))
        for folder in (few, many):
            folder.mkdir()
        for number in range(KINDS):
            network(number).save(many / f"{number:03}.keras")
            if number < FEW:
                shutil.copy(many / f"{number:03}.keras", few)
        for number in range(KINDS, MANY):
            shutil.copy(many / f"{number % KINDS:03}.keras", many / f"{number:03}.keras")
        for _ in range(ROUNDS):
            short, long = cpu_seconds(few), cpu_seconds(many)
            for name, value in (("few", short), ("many", long), ("further", (long - short) / (MANY - FEW))):
                measured[name].append(value)
    works = {
        "few": (f"`tfnas predict` for {FEW} .keras files", ""),
        "many": (f"`tfnas predict` for {MANY} .keras files", ""),
        "further": ("a further model", "<= 0.5"),
    }
    record(
        "folders",
        [Figure(work, "tfnas", tuple(measured[name]), "CPU-seconds", goal) for name, (work, goal) in works.items()],
    )


if __name__ == "__main__":
    main()
