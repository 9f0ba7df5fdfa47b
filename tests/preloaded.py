"""What a fork server imports once, so that the processes that tests kill start at once."""

import gc

import matplotlib.pyplot
import sklearn.ensemble
import tf_keras

from tfnas import runtime
from tfnas.graphs import gnn
from tfnas.networks.symbolic import packing
from tfnas.predictors import label_predictor, ranking, saved
from tfnas.proxies import spaces
from tfnas.retrieval import relatives
from tfnas.search import experiment

PACKAGES = (matplotlib.pyplot, sklearn.ensemble, tf_keras, gnn.GraphTensor)
MODULES = (packing, label_predictor, ranking, saved, spaces, relatives, experiment)

runtime.collect_seldom()
gc.freeze()  # the collector of garbage passes over the modules, here and in the forks
