"""How long every binary takes with its defaults, on what ships with tfnas.

  python -m perf.binaries [--only=embed,search]

Prints the seconds of each as a user waits for them, start-up included; graphs are 500 networks of NAS-Bench-201 and as
many of NAS-Bench-101. Not there is what works on a user's own images (`score_proxies`, `extract_jacobians`,
`pretrain --encoder=jacobian`, `train_darts`), on an official file (`convert_benchmark`) or on measured tables (the
reproductions), and `build_digits201`, which trains a whole space.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "saved_models"
GRAPHS = "--corpus={folder}/build_corpus/corpus"
MODEL = f"--model={SHIPPED}/arch2vec_nasbench201"
COMMANDS = {
    "pretrain_arch2vec": ["--encoder=arch2vec", "--space=nasbench201"],
    "export": ["--run_dir={folder}/pretrain_arch2vec"],
    "embed": [f"--encoder={SHIPPED}/arch2vec_nasbench201"],
    "search": [],
    "demo": [],
    "build_corpus": ["--spaces=nasbench201:500,nasbench101:500"],
    "inspect_model": [MODEL],
    "pretrain_computation_graph": ["--encoder=computation_graph", GRAPHS],
    "train_predictor": ["--benchmarks=digits201"],
    "predict": [MODEL],
    "pretrain_motif": ["--encoder=motif", GRAPHS],
    "build_index": [f"--add_to={SHIPPED}/architecture_index", "--remove=timm/resnet50"],
    "retrieve": ["--model=timm/resnet50"],
    "embed_corpus": [f"--encoder={SHIPPED}/cg_encoder", GRAPHS],
    "check_table": [f"--table={ROOT}/tfnas/benchmarks/data/digits201.npz"],
    "serve": [MODEL],
}
WITHOUT_FOLDER = ("inspect_model", "predict", "retrieve", "check_table", "serve")


def seconds_until_it_serves(command: list[str]) -> float:
    """From the start to the first answer."""
    start = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        while server.poll() is None:
            try:
                with urllib.request.urlopen("http://127.0.0.1:8501/v1/models/arch2vec_nasbench201"):
                    break
            except urllib.error.URLError:
                time.sleep(0.05)
        seconds = time.perf_counter() - start
        if server.poll() is not None:
            sys.exit("serve: it ended")
        server.terminate()
    return seconds


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(COMMANDS))
    chosen = parser.parse_args().only.split(",")
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            program = "pretrain" if name.startswith("pretrain_") else name
            command = [sys.executable, "-m", f"trainers.{program}"]
            command += [flag.format(folder=folder) for flag in COMMANDS[name]]
            if name == "serve":
                print(f"{name:28s}{seconds_until_it_serves(command):8.1f}", flush=True)
                continue
            if name not in WITHOUT_FOLDER:
                command.append(f"--output_dir={folder}/{name}")
            start = time.perf_counter()
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            seconds = time.perf_counter() - start
            if done.returncode:
                sys.exit(f"{name}: {done.stderr[-2000:]}")
            print(f"{name:28s}{seconds:8.1f}", flush=True)


if __name__ == "__main__":
    main()
