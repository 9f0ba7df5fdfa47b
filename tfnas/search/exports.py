"""Finished searches in the forms of other programs: an Optuna study, and TensorBoard's HParams.

A query is a trial. Its parameters are what tells the architectures of the space apart: `operation_V`, the operation of
vertex V, and `edge_U_V`, whether vertex U feeds vertex V.

References:
  Akiba et al. 2019, "Optuna: A Next-generation Hyperparameter Optimization Framework".
  https://www.tensorflow.org/tensorboard/hyperparameter_tuning_with_hparams
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

from tfnas import artefacts
from tfnas.errors import ConfigurationError, MismatchError
from tfnas.search.comparison import Comparison
from tfnas.spaces import ABSENT, CellTable, Space

_SAMPLE = 2000
_NO_VERTEX = "absent"
_RESULTS = ("validation", "mean_validation", "test", "cost_seconds")
_EVENTS_NAME = "events.out.tfevents.0.tfnas"


@dataclasses.dataclass(frozen=True)
class Parameters:
    """The parameters of a space: vertices whose operation varies, and edges that not every architecture has.

    A space that can't be listed is judged by 2,000 random architectures, drawn with the seed 0.

    Args:
      space: search space.

    Attributes:
      space: search space.
      choices: values of every parameter, by name.

    Example:
      >>> from tfnas.spaces import get_space
      >>> list(Parameters(get_space("nats_size")).choices)
      ['operation_1', 'operation_2', 'operation_3', 'operation_4', 'operation_5']
    """

    space: Space
    choices: dict[str, tuple[str, ...] | tuple[bool, ...]] = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        cells = self.space.enumerate() if self.space.enumerable else self.space.sample(_SAMPLE, seed=0)
        columns = _columns(cells)
        varying = {name: values for name, values in columns.items() if (values != values[0]).any()}
        codes = np.unique(np.concatenate([[], *(varying[name] for name in varying if name.startswith("operation"))]))
        names = tuple(self._operation(code) for code in codes.astype(int).tolist())
        choices = {name: names if name.startswith("operation") else (False, True) for name in varying}
        object.__setattr__(self, "choices", choices)

    def values(self, cells: CellTable) -> list[dict[str, str | bool]]:
        """Values of all parameters of the rows of a table, by name."""
        columns = _columns(cells)
        return [
            {
                name: self._operation(int(columns[name][row]))
                if name.startswith("operation")
                else bool(columns[name][row])
                for name in self.choices
            }
            for row in range(len(cells))
        ]

    def _operation(self, code: int) -> str:
        return _NO_VERTEX if code == ABSENT else self.space.operations[code]


def _columns(cells: CellTable) -> dict[str, np.ndarray]:
    """Codes of operations and entries of adjacency matrices, `[N]` each, by the names of parameters."""
    vertices = range(cells.operations.shape[1])
    return {f"operation_{vertex}": cells.operations[:, vertex] for vertex in vertices} | {
        f"edge_{source}_{target}": cells.adjacency[:, source, target] for target in vertices for source in range(target)
    }


def _queries(comparison: Comparison) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, float]]]:
    """Facts, parameters and results of every query, in the order of strategies, runs and queries."""
    parameters = Parameters(comparison.candidates.space)
    for strategy, history in comparison.histories.items():
        for run, rows in enumerate(history.rows):
            cells = comparison.candidates.cells[rows]
            for query, (row, values) in enumerate(zip(rows.tolist(), parameters.values(cells), strict=True)):
                facts = {
                    "strategy": strategy,
                    "seed": comparison.seed + run,
                    "query": query + 1,
                    "architecture": comparison.name_of(row),
                    "failure": str(history.scores.failure[run, query]),
                }
                yield facts, values, {key: float(getattr(history.scores, key)[run, query]) for key in _RESULTS}


def open_study(storage: str, name: str) -> Any:
    """The study of a name, which is made if the storage lacks it.

    Args:
      storage: URL of the storage, such as `sqlite:///study.db`.
      name: name of the study.

    Raises:
      ConfigurationError: Optuna is not installed, or can't open the storage.
      MismatchError: the study minimises, or has several objectives.
    """
    try:
        import optuna
    except ImportError as error:
        raise ConfigurationError("studies need the package optuna: pip install 'tfnas[optuna]'") from error
    try:
        study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
        directions = study.directions
    except Exception as error:  # Optuna, SQLAlchemy and the driver of the database raise many classes
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigurationError(f"Optuna can't open the storage {storage}: {reason}") from error
    if directions != [optuna.study.StudyDirection.MAXIMIZE]:
        raise MismatchError(f"the study {name!r} of {storage}: expected one objective that is maximised")
    return study


def to_optuna(comparison: Comparison, storage: str, name: str) -> Any:
    """Adds the queries of a search to a study, each once, however often the function is called.

    The value of a trial is the validation accuracy; a failed query is a failed trial. The user attributes are
    `strategy`, `seed`, `query`, `architecture`, `failure`, `mean_validation`, `test` and `cost_seconds`.

    Args:
      comparison: finished search.
      storage: URL of the storage, such as `sqlite:///study.db`.
      name: name of the study.

    Returns:
      The study, an `optuna.Study`.

    Raises:
      ConfigurationError: Optuna is not installed, or can't open the storage.
      MismatchError: the study holds trials of a search with other queries.
    """
    study = open_study(storage, name)
    import optuna

    choices = Parameters(comparison.candidates.space).choices
    distributions = {key: optuna.distributions.CategoricalDistribution(values) for key, values in choices.items()}
    keys = ("strategy", "seed", "query")
    known = {
        tuple(trial.user_attrs.get(key) for key in keys): trial.user_attrs.get("architecture")
        for trial in study.get_trials(deepcopy=False)
    }
    total = sum(history.rows.size for history in comparison.histories.values())
    for facts, values, results in tqdm(_queries(comparison), "Trials for Optuna", total, unit="trial"):
        key = tuple(facts[key] for key in keys)
        if known.get(key, facts["architecture"]) != facts["architecture"]:
            raise MismatchError(
                f"the study {name!r} of {storage} holds another search: query {facts['query']} of {facts['strategy']} "
                f"with the seed {facts['seed']} is {known[key]}, expected {facts['architecture']}"
            )
        if key in known:
            continue
        failed = bool(facts["failure"])
        attributes = {key: value for key, value in results.items() if key != "validation"}
        study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.FAIL if failed else optuna.trial.TrialState.COMPLETE,
                value=None if failed else results["validation"],
                params=values,
                distributions=distributions,
                user_attrs=facts | attributes,
            )
        )
    return study


def to_hparams(comparison: Comparison, folder: artefacts.PathLike) -> None:
    """Writes a search for the HParams page of TensorBoard, `tensorboard --logdir=FOLDER`: a run per query.

    Hyperparameters are the strategy, the seed and the parameters of the space; metrics are `validation`,
    `mean_validation`, `test` and `cost_seconds`. Times count training seconds from the beginning of a run, so that
    equal searches give equal files. An older folder is replaced.

    Args:
      comparison: finished search.
      folder: folder of the event files.
    """
    import tensorflow as tf
    from tensorboard.plugins.hparams import api, api_pb2, summary, summary_v2
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb
    from tensorflow.core.util import event_pb2

    choices = {"strategy": tuple(comparison.histories)} | Parameters(comparison.candidates.space).choices
    hyperparameters = [api.HParam(name, api.Discrete(values)) for name, values in choices.items()]
    metrics = [api.Metric(name) for name in _RESULTS]
    configuration = summary_v2.hparams_config_pb([*hyperparameters, api.HParam("seed")], metrics, time_created_secs=0)

    def write(path: str, summaries: list[Any], seconds: float) -> None:
        tf.io.gfile.makedirs(path)
        with tf.io.TFRecordWriter(f"{path}/{_EVENTS_NAME}") as writer:
            writer.write(event_pb2.Event(wall_time=seconds, file_version="brain.Event:2").SerializeToString())
            for message in summaries:
                event = event_pb2.Event(wall_time=seconds)
                event.summary.ParseFromString(message.SerializeToString())
                writer.write(event.SerializeToString())

    with artefacts.atomic_folder(folder) as target:
        write(str(target), [configuration], 0)
        seconds = 0.0
        for facts, values, results in _queries(comparison):
            seconds = 0.0 if facts["query"] == 1 else seconds
            run = f"{facts['strategy']}/seed_{facts['seed']}/query_{facts['query']:04d}"
            status = api_pb2.STATUS_FAILURE if facts["failure"] else api_pb2.STATUS_SUCCESS
            settings = {key: facts[key] for key in ("strategy", "seed")} | values
            begin = summary_v2.hparams_pb(settings, trial_id=run, start_time_secs=seconds)
            seconds += results["cost_seconds"]
            scalars = [scalar_pb(key, value) for key, value in results.items()]
            write(f"{target}/{run}", [begin, *scalars, summary.session_end_pb(status, seconds)], seconds)
