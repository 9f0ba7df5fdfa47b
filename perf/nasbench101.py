"""Converting a NAS-Bench-101 file of full size against reading it row by row, as the official API does.

  python -m perf.nasbench101 [--cells=423624]

Makes a synthetic file (every cell of the space, three repeats at 108 epochs, random metrics), then measures in
processes of their own: CPU-seconds and peak memory of both, the time to open the table, and queries.
"""

import argparse
import json
import pathlib
import sys
import tempfile
import time

import numpy as np
from tqdm import tqdm

from perf import results, rivals
from perf.results import Figure
from tfnas.spaces import NASBench101

_OURS, _OFFICIAL = "tfnas, converted and written", "row by row, read"


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


def measured(task: str, path: pathlib.Path, records: int) -> rivals.Measurement:
    """Runs this module again with `--task`."""
    command = [sys.executable, "-m", "perf.nasbench101", f"--task={task}", f"--path={path}", f"--records={records}"]
    return rivals.measurement(command)


def run_task(task: str, path: pathlib.Path, records: int) -> rivals.Measurement:
    """The measured part, in its own process."""
    table = path.with_suffix(".npz")
    if task == "convert":
        from tfnas.benchmarks.readers import nasbench101

        started = time.process_time()
        nasbench101.convert(path, table, records=records)
    elif task == "rows":
        from tests.reference.nasbench101 import read_rows

        started = time.process_time()
        read_rows(path)
    else:
        from tfnas.benchmarks.table import read_table
        from tfnas.benchmarks.tabular import TableEvaluator

        started = time.process_time()
        evaluator = TableEvaluator(read_table(table), "validation_accuracy_108", "test_accuracy_108")
        opened = time.process_time() - started
        rng = np.random.default_rng(0)
        rows = rng.integers(len(evaluator.table), size=2000)
        architectures = [evaluator.table.architecture(int(row)) for row in rows]
        evaluator.query(architectures[:1])
        started = time.process_time()
        for architecture in architectures:
            evaluator.query([architecture])
        single = (time.process_time() - started) / len(architectures)
        many = evaluator.table.cells[rng.integers(len(evaluator.table), size=500_000)]
        started = time.process_time()
        evaluator.query_cells(many)
        together = (time.process_time() - started) / len(many)
        return {"open": opened, "one": single * 1e6, "together": together * 1e6}
    return {"seconds": time.process_time() - started, "gigabytes": results.memory("VmHWM") / 1e3}


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
    records = 3 * arguments.cells
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "synthetic.tfrecord"
        synthetic(path, arguments.cells)
        found = {_OURS: measured("convert", path, records), _OFFICIAL: measured("rows", path, records)}
        opened = measured("open", path, 0)
    figures = [
        Figure(f"a file of NAS-Bench-101, {records:,} records: {unit}", name, (one[key],), unit)
        for key, unit in (("seconds", "CPU-seconds"), ("gigabytes", "GB"))
        for name, one in found.items()
    ]
    figures += [
        Figure("opening the table", "tfnas", (opened["open"],), "CPU-seconds"),
        Figure("a query of the table", "tfnas, one by one", (opened["one"],), "CPU-microseconds"),
        Figure("a query of the table", "tfnas, 500,000 at once", (opened["together"],), "CPU-microseconds"),
    ]
    results.record("nasbench101", figures)


if __name__ == "__main__":
    main()
