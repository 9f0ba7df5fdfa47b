"""Converting a NAS-Bench-101 file of full size against reading it row by row, as the official API does.

  python -m perf.nasbench101 [--cells=423624]

Makes a synthetic file (every cell of the space, three repeats at 108 epochs, random metrics), then measures in
processes of their own: time, processor time and peak memory of both, the time to open the table, and queries.
"""

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from tqdm import tqdm

from tfnas.spaces import NASBench101


def synthetic(path: pathlib.Path, cells: int) -> None:
    """Writes `3 * cells` records in random order."""
    from tests.reference.nasbench101 import write_official

    space = NASBench101()
    table, md5 = space.enumerate_with_hashes()
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(table))[:cells]
    names = [row.tobytes().hex() for row in md5]

    def records():
        for row in tqdm(np.tile(rows, 3).tolist(), desc="Writing", unit="record", unit_scale=True):
            numbers = rng.random((3, 5), np.float32).tolist()
            yield names[row], 108, space.architecture(table, row), 1_000_000 + row, numbers

    write_official(path, records())


def measured(task: str, path: pathlib.Path, records: int) -> dict[str, float]:
    """Runs this file again with `--task`."""
    command = [sys.executable, __file__, f"--task={task}", f"--path={path}", f"--records={records}"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def run_task(task: str, path: pathlib.Path, records: int) -> dict[str, float]:
    """The measured part, in its own process."""
    table = path.with_suffix(".npz")
    if task == "convert":
        from tfnas.benchmarks.readers import nasbench101

        started, cpu = time.perf_counter(), time.process_time()
        nasbench101.convert(path, table, records=records)
    elif task == "rows":
        from tests.reference.nasbench101 import read_rows

        started, cpu = time.perf_counter(), time.process_time()
        read_rows(path)
    else:
        from tfnas.benchmarks.table import read_table
        from tfnas.benchmarks.tabular import TableEvaluator

        started, cpu = time.perf_counter(), time.process_time()
        evaluator = TableEvaluator(read_table(table), "validation_accuracy_108", "test_accuracy_108")
        opened = time.perf_counter() - started
        rng = np.random.default_rng(0)
        rows = rng.integers(len(evaluator.table), size=2000)
        architectures = [evaluator.table.architecture(int(row)) for row in rows]
        evaluator.query(architectures[:1])
        started = time.perf_counter()
        for architecture in architectures:
            evaluator.query([architecture])
        single = (time.perf_counter() - started) / len(architectures)
        many = evaluator.table.cells[rng.integers(len(evaluator.table), size=500_000)]
        started = time.perf_counter()
        evaluator.query_cells(many)
        return {"open": opened, "query_microseconds": single * 1e6, "vectorised": time.perf_counter() - started}
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=423_624)
    parser.add_argument("--task", help=argparse.SUPPRESS)
    parser.add_argument("--path", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--records", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task:
        print(json.dumps(run_task(arguments.task, arguments.path, arguments.records)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "synthetic.tfrecord"
        synthetic(path, arguments.cells)
        print(f"{3 * arguments.cells:,} records, {path.stat().st_size / 1e6:.0f} MB")
        converted, rows = (measured(task, path, 3 * arguments.cells) for task in ("convert", "rows"))
        print(f"compact table: {path.with_suffix('.npz').stat().st_size / 1e6:.1f} MB")
        for name, figures in (("tfnas, converted and written", converted), ("row by row, read", rows)):
            print(f"{name}: " + ", ".join(f"{key} {value:.2f}" for key, value in figures.items()))
        print(f"ratio: {rows['seconds'] / converted['seconds']:.1f} (time on the clock), ", end="")
        print(f"{rows['cpu_seconds'] / converted['cpu_seconds']:.1f} (processor time)")
        print(", ".join(f"{key} {value:.3f}" for key, value in measured("open", path, 0).items()))


if __name__ == "__main__":
    main()
