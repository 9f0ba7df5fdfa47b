"""Settings of searches; no TensorFlow, so that flags can be made from the classes before TensorFlow starts."""

import dataclasses

from tfnas.errors import ConfigurationError

NO_GUIDE = "none"
GUIDES = (NO_GUIDE, "predictor", "proxy")
ENGINES = {"processes": "engines:ProcessEngine", "ray": "engines:RayEngine"}
"""Classes of engines, as `module:Class` of this package."""


@dataclasses.dataclass(frozen=True)
class GuideSettings:
    """The guide that picks the children of evolution.

    Attributes:
      guide: none for regularized evolution; predictor for a predictor that is fitted to the run's own queries; proxy
        for a size of the network or a score in a file.
      labels: random queries before the predictor's first fit.
      proxy: parameters, multiply_adds, or the name of a score in the file.
      proxy_scores: file of `tfnas score_proxies` with the score of --proxy.

    Raises:
      ConfigurationError: an unknown guide, too few labels, a proxy without its guide, or the guide without a proxy.
    """

    guide: str = NO_GUIDE
    labels: int = 20
    proxy: str | None = None
    proxy_scores: str | None = None

    def __post_init__(self) -> None:
        if self.guide not in GUIDES:
            raise ConfigurationError(f"--guide={self.guide}, expected one of {', '.join(GUIDES)}")
        if self.labels < 3:
            raise ConfigurationError(f"--labels={self.labels}, expected at least 3")
        if (self.guide == "proxy") != (self.proxy is not None) or (self.proxy_scores and self.proxy is None):
            raise ConfigurationError("--guide=proxy goes with --proxy, and --proxy_scores with both")


@dataclasses.dataclass(frozen=True)
class SurrogateSettings:
    """Strategies with a surrogate.

    Attributes:
      initial: random queries before the first prediction; by default a quarter of --queries, at most the strategy's own
        number.
      blocks: features of the strategy additive, some of latents, operations, paths and graph; by default all that the
        candidates have.

    Raises:
      ConfigurationError: `initial` is below 1.
    """

    initial: int | None = None
    blocks: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.initial is not None and self.initial < 1:
            raise ConfigurationError(f"--initial={self.initial}, expected at least 1")


@dataclasses.dataclass(frozen=True)
class WorkerSettings:
    """Processes that train architectures.

    Attributes:
      workers: architectures that are trained at a time, each by a process; 0 trains in the process that searches.
      engine: processes for processes of this machine, ray for a Ray cluster.
      ray_address: address of the Ray cluster; by default a cluster is started on this machine.
      worker_gpus: GPUs that a Ray worker needs.
      asynchronous: no waiting for stragglers; results depend on timing.
      trial_log: log of trainings, which searches can share; by default OUT/trained.jsonl.

    Raises:
      ConfigurationError: a negative number, an unknown engine, or settings of Ray without Ray.
    """

    workers: int = 0
    engine: str = "processes"
    ray_address: str | None = None
    worker_gpus: float = 0.0
    asynchronous: bool = False
    trial_log: str | None = None

    def __post_init__(self) -> None:
        if self.workers < 0 or self.worker_gpus < 0:
            raise ConfigurationError(
                f"--workers={self.workers}, --worker_gpus={self.worker_gpus:g}, expected no negative number"
            )
        if self.engine not in ENGINES:
            raise ConfigurationError(f"--engine={self.engine}, expected one of {', '.join(ENGINES)}")
        if self.engine != "ray" and (self.ray_address or self.worker_gpus):
            raise ConfigurationError("--ray_address and --worker_gpus go with --engine=ray")


@dataclasses.dataclass(frozen=True)
class GoalSettings:
    """What a search looks for.

    Attributes:
      objective: accuracy, and after it any of parameters, multiply_adds, a column of --costs or of the benchmark's
        table, or module:function of an architecture; less is better unless max: stands before a name. Columns and
        sizes are known before an architecture is queried unless measured: stands before the name; a function is asked
        after the query unless known: stands before the name.
      limit: bounds as name:number, which feasible architectures stay below, or above where more is better; known
        numbers rule architectures out before anything is spent on them.
      costs: compact table, or file of a published layout, with columns for --objective and --limit.
    """

    objective: tuple[str, ...] = ("accuracy",)
    limit: tuple[str, ...] = ()
    costs: str | None = None
