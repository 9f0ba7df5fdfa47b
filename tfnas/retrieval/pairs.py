"""Two models side by side: how similar they are, what they share, and in what they differ."""

import dataclasses

import numpy as np

from tfnas.graphs.comparison import Comparison, compare
from tfnas.reports import tables
from tfnas.retrieval.calibration import Calibration
from tfnas.retrieval.collection import Collection
from tfnas.retrieval.differences import Traits, differences
from tfnas.retrieval.evidence import Surroundings, score


@dataclasses.dataclass(frozen=True, eq=False)
class Pair:
    """Two models side by side.

    Attributes:
      similarity: share of the index's own pairs with this score that are of one family, 0 to 1; 1 for the same
        structure.
      cosine: cosine of the embeddings, -1 to 1.
      covered: share of the first model's operators that the second model has in the same surroundings, and the reverse.
      same_structure: whether operators, heights of kernels and flow are equal, whatever the channels.
      differences: lines on what the second model has in place of what the first has; see `differences.differences`.
      comparison: sums and operators of both graphs.
    """

    similarity: float
    cosine: float
    covered: tuple[float, float]
    same_structure: bool
    differences: tuple[str, ...]
    comparison: Comparison

    @classmethod
    def of(cls, models: tuple[Collection, Collection], cosine: float, calibration: Calibration) -> "Pair":
        """The comparison of two collections of one architecture each."""
        first, second = (Surroundings(model.graphs) for model in models)
        row = np.array([0])
        covered = (float(first.shared(0, row, second)[0]), float(second.shared(0, row, first)[0]))
        same = bool(first.structures[0] == second.structures[0])
        similarity = 1.0 if same else float(calibration(score(np.array([cosine]), np.array([min(covered)])))[0])
        graphs = (models[0].graph(0), models[1].graph(0))
        return cls(similarity, cosine, covered, same, differences(*map(Traits.of, graphs)), compare(*graphs))

    def __str__(self) -> str:
        """The pair as lines for a reader, then the tables of `graphs.comparison.comparison_text`."""
        names = [tables.printable(graph.name) for graph in self.comparison.graphs]
        lines = [
            f"similarity {100 * self.similarity:.0f} %: share of known pairs like this that are of one family",
            *(
                f"{100 * share:.0f} % of the operators of {one} are shared by {other}"
                for share, one, other in zip(self.covered, names, reversed(names), strict=True)
            ),
            *["same structure"] * self.same_structure,
            *(f"{names[1]}: {line}" for line in self.differences),
        ]
        return "\n".join(lines) + f"\n\n{self.comparison}"
