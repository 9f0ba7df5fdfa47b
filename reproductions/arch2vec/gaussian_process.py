"""Gaussian process regression with TensorFlow Probability.

References:
  Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", equations 2.22-2.24 and 5.8.
"""

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfnas.errors import ConfigurationError

_CHUNK = 16_384
_ITERATIONS = 100  # largest number of iterations of L-BFGS


class GaussianProcess:
    """A process with constant mean and the squared exponential kernel.

    Inputs and targets are standardised; amplitude, length scale and noise maximise the marginal likelihood.
    """

    def fit(self, inputs: np.ndarray, targets: np.ndarray) -> "GaussianProcess":
        """Fits to float `[n, D]` and `[n]`.

        Raises:
          ConfigurationError: fewer than two points, other shapes, NaN or infinity.
        """
        inputs, targets = np.asarray(inputs, np.float64), np.asarray(targets, np.float64)
        if inputs.ndim != 2 or targets.shape != (len(inputs),) or len(inputs) < 2:
            raise ConfigurationError(f"inputs {inputs.shape} and targets {targets.shape}, expected [n, D], [n], n >= 2")
        if not (np.isfinite(inputs).all() and np.isfinite(targets).all()):
            raise ConfigurationError("inputs or targets hold NaN or infinity")
        spread, target_spread = inputs.std(axis=0), targets.std()
        self._shift, self._scale = inputs.mean(axis=0), np.where(spread > 0, spread, 1.0)
        self._target_shift, self._target_scale = targets.mean(), target_spread if target_spread > 0 else 1.0
        self._inputs = tf.constant((inputs - self._shift) / self._scale)
        self._targets = tf.constant((targets - self._target_shift) / self._target_scale)
        start = tf.constant([0.0, 0.5 * np.log(inputs.shape[1]), np.log(0.3)], tf.float64)
        solution = tfp.optimizer.lbfgs_minimize(
            lambda logs: tfp.math.value_and_gradient(
                lambda values: _negative_log_likelihood(values, self._inputs, self._targets), logs
            ),
            start,
            max_iterations=_ITERATIONS,
        )
        self.amplitude, self.length_scale, self.noise = np.exp(solution.position.numpy()).tolist()
        return self

    def predict(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predictive mean and standard deviation, float64 `[m]` each, in the units of the targets."""
        scaled = (np.asarray(inputs, np.float64) - self._shift) / self._scale
        kernel = tfp.math.psd_kernels.ExponentiatedQuadratic(
            tf.constant(self.amplitude, tf.float64), tf.constant(self.length_scale, tf.float64)
        )
        means, variances = [], []
        for start in range(0, len(scaled), _CHUNK):
            model = tfp.distributions.GaussianProcessRegressionModel(
                kernel,
                index_points=tf.constant(scaled[start : start + _CHUNK]),
                observation_index_points=self._inputs,
                observations=self._targets,
                observation_noise_variance=tf.constant(self.noise**2, tf.float64),
            )
            means.append(model.mean().numpy())
            variances.append(model.variance().numpy())
        mean, stddev = np.concatenate(means), np.sqrt(np.concatenate(variances))
        return mean * self._target_scale + self._target_shift, stddev * self._target_scale


@tf.function
def _negative_log_likelihood(logs: tf.Tensor, inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    amplitude, length_scale, noise = tf.unstack(tf.exp(logs))
    process = tfp.distributions.GaussianProcess(
        tfp.math.psd_kernels.ExponentiatedQuadratic(amplitude, length_scale),
        index_points=inputs,
        observation_noise_variance=noise**2,
    )
    return -process.log_prob(targets)
