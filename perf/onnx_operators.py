"""The models with which the package onnx tests single operators: how many are read, with what notes, and refused.

python -m perf.onnx_operators
"""

import argparse
import collections
import warnings

from tfnas.errors import TfnasError
from tfnas.graphs.importers.onnx_graphs import from_onnx
from tfnas.reports import tables


def main() -> None:
    """Prints the table, and every reason of a refusal."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the expected outputs, which are computed too, overflow
        from onnx.backend.test.case.node import collect_testcases

        models = [case.model for case in collect_testcases(None)]
    results: collections.Counter[str] = collections.Counter()
    reasons: collections.Counter[str] = collections.Counter()
    for model in models:
        try:
            graph = from_onnx(model)
        except TfnasError as error:
            results["refused"] += 1
            reasons[str(error).partition(": ")[2]] += 1
            continue
        if graph.unknown:
            results["read, with operators outside the vocabulary"] += 1
        elif graph.notes:
            results["read, with other notes"] += 1
        else:
            results["read"] += 1
    rows = [[name, f"{count:,}"] for name, count in results.most_common()]
    print(tables.markdown([f"of {len(models):,} models", "number"], rows))
    for reason, count in reasons.most_common():
        print(f"refused {count}: {reason}")


if __name__ == "__main__":
    main()
