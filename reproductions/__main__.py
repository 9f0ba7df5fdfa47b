"""Reproduces experiments of a paper, each with its tables and figures beside the paper's numbers.

  python -m reproductions PAPER --experiment=table1 --output_dir=OUT

Measured accuracies and images come from the folder TFNAS_DATA_DIR. A killed run goes on with --resume: finished
experiments, trainings and searches are not repeated. `python -m reproductions PAPER --help` lists a paper's flags.
"""

import dataclasses
import pathlib
import sys

from absl import flags

from reproductions.registry import PAPERS, Paper
from tfnas import flags as tfnas_flags
from tfnas import runtime
from tfnas.errors import ConfigurationError


def listing() -> str:
    """The papers with their experiments, a line for each paper."""
    return "\n".join(f"  {name}: {paper.title}: {', '.join(paper.experiments)}" for name, paper in PAPERS.items())


def reproduce(paper: Paper) -> None:
    """Runs the chosen experiments that are not finished, and prints the tables of all chosen ones."""
    names = paper.choose(flags.FLAGS.experiment)
    settings = paper.settings(**tfnas_flags.overrides(paper.settings))
    recorded = dataclasses.asdict(settings)
    results = pathlib.Path(flags.FLAGS.output_dir).resolve()
    for name, value in recorded.items():
        # The only settings that are text are folders of inputs.
        if isinstance(value, str) and pathlib.Path(value).resolve().is_relative_to(results):
            raise ConfigurationError(f"--{name} lies in --output_dir, which --overwrite would delete")
    recorded |= {"program": "reproductions", "paper": paper.folder, "experiment": flags.FLAGS.experiment}
    output_dir = tfnas_flags.output_folder(recorded)
    runtime.one_thread_per_operation()  # or two runs with one seed would differ in the last digits
    for name in names:
        if not (output_dir / f"{name}.md").exists():
            paper.run(name, output_dir, settings)
        print((output_dir / f"{name}.md").read_text(encoding="utf-8"))


def main() -> None:
    """Takes the paper off the command line, and makes flags of the paper's settings."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name.lstrip("-") in ("h", "help", "helpshort", "helpfull"):
        print(f"{__doc__}\nPapers and experiments:\n{listing()}")
        sys.exit()
    if name not in PAPERS:
        sys.exit(
            f"error: {f'unknown paper {name!r}' if name else 'no paper'}, expected one of {', '.join(PAPERS)}: "
            "python -m reproductions PAPER --experiment=... --output_dir=..."
        )
    paper = PAPERS[name]
    sys.argv[:2] = [f"python -m reproductions {name}"]
    experiments = f"Comma-separated list of {', '.join(paper.experiments)}, or all."
    flags.DEFINE_list("experiment", "all", experiments)
    tfnas_flags.define_from_rows({name: paper.settings})
    tfnas_flags.define_output()
    tfnas_flags.run(lambda: reproduce(paper))


if __name__ == "__main__":
    main()
