"""Scores of networks at initialisation, without training."""

import lazy_loader

PROXIES = ("synflow", "jacov", "fisher", "grad_norm", "grasp", "snip")
"""Names of the scores, in the order of the tables of Han et al. 2023; `proxies.scores` computes them."""

__getattr__, _, _names = lazy_loader.attach_stub(__name__, __file__)
__all__ = ["PROXIES", *_names]


def __dir__() -> list[str]:
    return __all__
