"""What a fork server imports once, so that the processes that tests kill start at once."""

import matplotlib.pyplot
import sklearn.ensemble
import tensorflow_probability

import tfnas  # isort: skip
import tensorflow as tf
import tensorflow_gnn

IMPORTED = (matplotlib.pyplot, sklearn.ensemble, tensorflow_probability, tfnas, tf.keras.Model, tensorflow_gnn)
