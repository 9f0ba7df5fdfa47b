from .log import MetricsLog as MetricsLog
from .loop import Task as Task
from .loop import TrainingConfig as TrainingConfig
from .loop import train as train
from .strategies import get_strategy as get_strategy
