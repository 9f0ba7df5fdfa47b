"""Black-box search on embeddings: Gaussian processes with expected improvement, evolution, random, largest first.

References:
  Hesslow and Poli 2021, published code: 200 queries, 500 repetitions, test accuracy as the objective.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
from tqdm import tqdm

from reproductions import processes, report
from reproductions.jacobian import data
from reproductions.jacobian.published_search import PublishedSearch
from reproductions.jacobian.settings import Settings
from reproductions.jacobian.table1 import SPECTRA
from tfnas.benchmarks.registry import load_table
from tfnas.benchmarks.tabular import TableEvaluator
from tfnas.encoders.arch2vec.saved import SavedCellEncoder
from tfnas.reports import figures
from tfnas.saved_models import SHIPPED
from tfnas.search import Candidates, RandomSearch, Strategy
from tfnas.search.candidates import CandidateSet
from tfnas.search.evolution import RegularizedEvolution
from tfnas.search.gaussian import GaussianSearch
from tfnas.search.loop import run_search
from tfnas.spaces import CellTable

_COLUMN = data.ACCURACIES["nasbench201"]["CIFAR-10"]
_VIEWS = 2
_NOT_DRAWN = ("most parameters first", "most multiply-adds first", "fitted process, parameters")
_STOPS = (20, 50, 100, 200)


@dataclasses.dataclass(frozen=True)
class Job:
    """All runs of a method.

    Attributes:
      folder: folder of the results; a finished job is not done again.
      kind: key of `_STRATEGIES`.
      points: points of the cells, float32 `[M, D]`, or `[M, A, D]` for several observations of each cell.
      cells: M cells to choose from.
      settings: runs, queries and seed.
    """

    folder: pathlib.Path
    kind: str
    points: np.ndarray
    cells: CellTable
    settings: Settings


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment and draws `search.png`."""
    nasbench201 = data.load(output_dir, settings, "nasbench201")
    corpus = nasbench201.corpus
    embeddings = {
        preset: data.trained_embeddings(output_dir, "nasbench201", [corpus], preset, settings.seed)
        for preset in ("paper", "tfnas")
    }
    spectra = {count: data.log_spectra(corpus, SPECTRA[:count]).mean(axis=1) for count in (1, 2)}
    arch2vec = SavedCellEncoder(SHIPPED / "arch2vec_nasbench201").embed(corpus.cells)
    sizes = {name: values[:, None] for name, values in data.sizes(corpus).items()}
    nothing = np.zeros((len(corpus), 1))
    methods: dict[str, tuple[str, np.ndarray]] = {
        "random": ("random", nothing),
        "evolution": ("evolution", nothing),
        "most parameters first": ("largest", sizes["parameters"]),
        "most multiply-adds first": ("largest", sizes["multiply-adds"]),
        "fitted process, parameters": ("fitted", sizes["parameters"]),
        "published process, published encoder": ("published", embeddings["paper"][:, :_VIEWS]),
        "published process, tfnas encoder": ("published", embeddings["tfnas"][:, :_VIEWS]),
        "fitted process, published encoder": ("fitted", embeddings["paper"].mean(axis=1)),
        "fitted process, tfnas encoder": ("fitted", embeddings["tfnas"].mean(axis=1)),
        "fitted process, log singular values": ("fitted", spectra[1]),
        "fitted process, singular values and frequencies": ("fitted", spectra[2]),
        "fitted process, arch2vec": ("fitted", arch2vec),
    }
    order = np.sort(nasbench201.accuracies["CIFAR-10"])[::-1]
    folder = output_dir / "searches"
    jobs = [
        Job(folder / processes.folder_name(name), kind, points.astype(np.float32), corpus.cells, settings)
        for name, (kind, points) in methods.items()
    ]
    curves = dict(zip(methods, processes.run(_search, jobs, "Searches"), strict=True))
    rows, values = [], {}
    for name, scores in curves.items():
        best = np.maximum.accumulate(scores, axis=1)
        regret = order[0] - best
        ranks = 1 + np.searchsorted(-order, -best[:, -1])
        stops = [stop for stop in _STOPS if stop <= settings.queries]
        rows.append(
            [
                name,
                *(f"{100 * regret[:, stop - 1].mean():.3f}" for stop in stops),
                f"{ranks.mean():.1f}",
                f"{100 * np.mean(ranks == 1):.0f} %",
            ]
        )
        values[name] = {"regret": (100 * regret.mean(axis=0)).tolist(), "final_rank": ranks.tolist()}
    drawn = {name: scores for name, scores in curves.items() if name not in _NOT_DRAWN}
    figures.search_curves(drawn, output_dir / "search.png", title="NAS-Bench-201, CIFAR-10 test accuracy")
    comparison = [
        f"{len(corpus)} cells, {settings.queries} queries, {settings.runs} runs per row; regret is the distance to the "
        f"best of these cells ({100 * order[0]:.2f} %) in percentage points.",
        "published process: length scale 1, variance 1, noise 0.1, percentages without a shift, 5 random cells first, "
        f"20 random candidates per step, target 0.15 above the best; observes {_VIEWS} initialisations of a cell "
        "(4 in the publication) and pays for no cell twice.",
        "fitted process: standardised scores, length scale and noise by marginal likelihood, 10 random cells first, "
        "all cells are candidates; mean embedding of all initialisations.",
        "evolution: regularized evolution on the cells themselves; a mutant that is not among these cells is drawn "
        "again, which leaves about a quarter of a cell's neighbours, so it is worse off than in the whole space.",
        "first: the largest networks in their order, of equal ones in random order; no score is learned from.",
        "The encoders have seen all candidates without labels, as in the publication. Test accuracies are searched "
        "directly, likewise.",
    ]
    columns = ["search", *(f"regret after {stop}" for stop in stops), "final rank", "best cell found"]
    title = "Search by Gaussian processes"
    return report.Report(title=title, columns=columns, rows=rows, comparison=comparison, values=values)


def _search(job: Job) -> np.ndarray:
    """Test accuracies `[runs, queries]` in the order of the queries."""
    return report.computed_once(job.folder / "history.npz", functools.partial(_searched, job))["scores"]


def _searched(job: Job) -> dict[str, np.ndarray]:
    processes.quiet(job.folder)
    table = load_table("nasbench201")
    settings = job.settings
    points = job.points.mean(axis=1) if job.points.ndim == 3 else job.points
    seeds = range(settings.seed, settings.seed + settings.runs)
    strategy = _STRATEGIES[job.kind](Candidates(table.space, job.cells, points), seeds, job.points)
    evaluator = TableEvaluator(table, _COLUMN, _COLUMN)
    with tqdm(total=settings.queries * settings.runs, desc=job.kind, unit="query") as bar:
        history = run_search(strategy, evaluator, settings.queries, job.folder, bar)
    (job.folder / "state.npz").unlink(missing_ok=True)
    return {"rows": history.rows, "scores": history.scores.test}


class LargestFirst(Strategy):
    """Candidates in the order of a number, the largest first; a run's seed orders those with equal numbers.

    Args:
      candidates: architectures to choose from.
      seeds: seeds of the R runs.
      numbers: float `[N]`.
    """

    name = "largest"

    def __init__(self, candidates: CandidateSet, seeds: Sequence[int], numbers: np.ndarray):
        super().__init__(candidates, seeds)
        self._orders = np.stack([np.lexsort((rng.permutation(len(numbers)), -numbers)) for rng in self.rngs])

    def _suggest(self, count: int) -> np.ndarray:
        return self._orders[:, self.asked : self.asked + count]


_STRATEGIES: dict[str, Callable[[Candidates, Sequence[int], np.ndarray], Strategy]] = {
    "random": lambda candidates, seeds, values: RandomSearch(candidates, seeds),
    "evolution": lambda candidates, seeds, values: RegularizedEvolution(candidates, seeds),
    "largest": lambda candidates, seeds, values: LargestFirst(candidates, seeds, values[:, 0]),
    "published": lambda candidates, seeds, values: PublishedSearch(candidates, seeds, values),
    "fitted": lambda candidates, seeds, values: GaussianSearch(candidates, seeds),
}
