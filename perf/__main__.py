"""Measures tfnas and its rivals, script after script, and writes `perf/results.json`.

  python -m perf [--peers=.venv-perf/bin/python] [--quick] [--only=arch2vec,proxies]
  python -m perf --device=gpu [--share=0.1] [--parts=training,proxies]

The first form measures the scripts of this folder on processors: in full within about an hour, or quickly, by fewer
rounds of the comparisons with rivals, within about five minutes. The second form measures one device.
"""

import argparse
import dataclasses
import subprocess
import sys
import time

from perf import results


@dataclasses.dataclass(frozen=True)
class Script:
    """A script of this folder.

    Attributes:
      name: module.
      flags: flags of the full measurement.
      quick: flags of the quick measurement; None for a script that the quick measurement leaves out.
      peers: whether the script takes `--torch_python`, the interpreter that has the rivals.
    """

    name: str
    flags: tuple[str, ...] = ()
    quick: tuple[str, ...] | None = None
    peers: bool = False


SCRIPTS = (
    Script("arch2vec", quick=("--rounds=2",), peers=True),
    Script("products"),
    Script("graph_encoder", quick=("--rounds=1",), peers=True),
    Script("nasbench101"),
    Script("graphs", flags=("--corpus",)),
    Script("predictor"),
    Script("proxies", quick=("--rounds=2", "--cells=3"), peers=True),
    Script("jacobian", quick=(), peers=True),
    Script("retrieval"),
    Script("index"),
    Script("index", flags=("--graphs", "--largest=100000")),
    Script("scale"),
    Script("binaries"),
    Script("folders"),
    Script("search", quick=()),
    Script("growth", flags=("--full",)),
    Script("large_models"),
    Script("onnx_operators"),
    Script("faults", flags=("--only=server_load",)),
)


def main() -> None:
    """Runs the scripts; the exit code is 1 if a script fails, after all scripts were tried."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="interpreter that has the rivals; rivals are left out without it")
    parser.add_argument("--quick", action="store_true", help="the comparisons with rivals alone, with few rounds")
    parser.add_argument("--only", help="names of scripts, separated by commas")
    parser.add_argument("--device", choices=("gpu", "cpu"), help="measure this device instead")
    parser.add_argument("--share", type=float, default=1.0, help="share of the sizes of what is measured on a device")
    parser.add_argument("--parts", help="parts of what is measured on a device, separated by commas")
    arguments = parser.parse_args()
    if arguments.device:
        measure_device(arguments.device, arguments.share, tuple((arguments.parts or "").split(",")))
        return
    names = arguments.only.split(",") if arguments.only else [script.name for script in SCRIPTS]
    unknown = set(names) - {script.name for script in SCRIPTS}
    if unknown:
        parser.error(f"--only: no script {', '.join(sorted(unknown))}, expected {', '.join(s.name for s in SCRIPTS)}")
    failed = []
    for script in SCRIPTS:
        flags = script.quick if arguments.quick else script.flags
        if script.name not in names or flags is None:
            continue
        if script.peers and arguments.peers:
            flags = (*flags, f"--torch_python={arguments.peers}")
        started = time.perf_counter()
        print(f"\n## {script.name}", flush=True)
        code = subprocess.run([sys.executable, "-m", f"perf.{script.name}", *flags]).returncode
        print(f"{time.perf_counter() - started:.0f} s", flush=True)
        failed += [script.name] if code else []
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


def measure_device(kind: str, share: float, parts: tuple[str, ...]) -> None:
    """Measures a device, prints each figure as soon as it is there, and records all of them."""
    import tfnas

    tfnas.runtime.prepare_tensorflow()
    from perf import device

    names = tuple(name for name in parts if name)
    unknown = set(names) - set(device.PARTS)
    if unknown:
        sys.exit(f"error: --parts: no part {', '.join(sorted(unknown))}, expected {', '.join(device.PARTS)}")
    measured = []
    try:
        for figure in device.figures(kind, share, names):
            print(f"{figure.work}: {max(figure.values):,.3g} {figure.unit}", flush=True)
            measured.append(figure)
    except RuntimeError as error:
        sys.exit(f"error: {error}")
    results.record(kind, measured, {"share": share})


if __name__ == "__main__":
    main()
