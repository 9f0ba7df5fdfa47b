"""What a fork server imports once, so that the processes that tests kill start at once."""

import matplotlib.pyplot
import sklearn.ensemble
import tensorflow_probability
import tf_keras

from tfnas.graphs import gnn

IMPORTED = (matplotlib.pyplot, sklearn.ensemble, tensorflow_probability, tf_keras, gnn.GraphTensor)
