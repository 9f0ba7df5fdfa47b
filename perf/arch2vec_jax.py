"""arch2vec in JAX and Flax, written for the comparison in `perf/arch2vec.py`; runs in an environment of its own.

Same network, loss, optimiser and batch as `tfnas.encoders.arch2vec` with the preset `published_code`. Data stay on
the device, random numbers of many updates are drawn at once, and these updates are one compiled program (`jit` of a
`scan`). Neighbours are summed by a batch of matrix products, which takes half of the time of --neighbours=sum. Prints
one JSON object.
"""

import argparse
import functools
import json
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

_STEPS = 100
_DROPOUT = 0.3
_EMBEDDING = 16


def matrix_product(augmented: jax.Array, x: jax.Array) -> jax.Array:
    """Sums over neighbours as a batch of matrix products."""
    return augmented @ x


def multiply_and_sum(augmented: jax.Array, x: jax.Array) -> jax.Array:
    """Sums over neighbours as products that are summed up."""
    return jnp.sum(augmented[..., None] * x[:, None], axis=2)


def fan_in_uniform(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    """PyTorch's initial weights of linear layers."""
    limit = shape[0] ** -0.5
    return jax.random.uniform(key, shape, dtype, -limit, limit)


class Arch2Vec(nn.Module):
    """The network of the published code."""

    num_operations: int
    neighbour_sum: Callable[[jax.Array, jax.Array], jax.Array]
    units: int = 128
    layers: int = 4

    @nn.compact
    def __call__(
        self, ops: jax.Array, augmented: jax.Array, noise: jax.Array, kept: jax.Array
    ) -> tuple[jax.Array, ...]:
        dense = functools.partial(nn.Dense, kernel_init=fan_in_uniform)
        batch, vertices, _ = ops.shape
        x = ops
        for layer in range(self.layers):
            epsilon = self.param(f"epsilon_{layer}", nn.initializers.zeros, ())
            # Layers work on rows, which is faster than on [batch, vertices, units].
            x = ((1 + epsilon) * x + self.neighbour_sum(augmented, x)).reshape(batch * vertices, -1)
            for _ in range(2):
                x = nn.relu(nn.BatchNorm(use_running_average=False, momentum=0.9, epsilon=1e-5)(dense(self.units)(x)))
            x = x.reshape(batch, vertices, -1)
        rows = x.reshape(batch * vertices, -1)
        mean, log_stddev = (dense(_EMBEDDING)(rows).reshape(batch, vertices, -1) for _ in range(2))
        z = (mean + noise * jnp.exp(log_stddev)) * kept
        operations = dense(self.num_operations)(z.reshape(batch * vertices, -1)).reshape(ops.shape)
        return operations, z @ z.swapaxes(1, 2), mean, log_stddev


def loss_of(
    model: Arch2Vec, parameters: Any, statistics: Any, ops: jax.Array, directed: jax.Array, noise: Any, kept: Any
) -> tuple[jax.Array, Any]:
    """The loss and the new running statistics."""
    (operations, edges, mean, log_stddev), changed = model.apply(
        {"params": parameters, "batch_stats": statistics},
        ops,
        directed + directed.swapaxes(1, 2),
        noise,
        kept,
        mutable=["batch_stats"],
    )
    likelihood = optax.sigmoid_binary_cross_entropy(operations, ops).mean()
    likelihood += jnp.triu(optax.sigmoid_binary_cross_entropy(edges, directed), 1).mean()
    divergence = (1 + 2 * log_stddev - mean**2 - jnp.exp(2 * log_stddev)).sum(-1).mean()
    return likelihood - 0.5 / (ops.shape[0] * ops.shape[1]) * divergence, changed["batch_stats"]


def main() -> None:
    """Prints cells per second and per CPU-second."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cells", required=True, help=".npz with float32 ops [N, V, O] and adjacency [N, V, V]")
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=600)
    sums = {"sum": multiply_and_sum, "product": matrix_product}
    parser.add_argument("--neighbours", choices=sums, default="product", help="kind of the sum over neighbours")
    arguments = parser.parse_args()
    with np.load(arguments.cells) as cells:
        ops, adjacency = jnp.asarray(cells["ops"]), jnp.asarray(cells["adjacency"])
    batch, vertices = arguments.batch_size, ops.shape[1]
    model = Arch2Vec(ops.shape[2], sums[arguments.neighbours])
    optimizer = optax.chain(optax.clip_by_global_norm(5.0), optax.adam(1e-3))
    gradient = jax.value_and_grad(functools.partial(loss_of, model), has_aux=True)

    def step(state: Any, inputs: Any) -> tuple[Any, jax.Array]:
        parameters, statistics, moments = state
        rows, noise, kept = inputs
        (loss, statistics), slopes = gradient(parameters, statistics, ops[rows], adjacency[rows], noise, kept)
        updates, moments = optimizer.update(slopes, moments)
        return (optax.apply_updates(parameters, updates), statistics, moments), loss

    @functools.partial(jax.jit, donate_argnums=0)
    def run(state: Any, rows: jax.Array, key: jax.Array) -> tuple[Any, jax.Array]:
        shape = (_STEPS, batch, vertices, _EMBEDDING)
        noise_key, dropout_key = jax.random.split(key)
        noise = jax.random.normal(noise_key, shape)
        kept = jax.random.bernoulli(dropout_key, 1 - _DROPOUT, shape) / (1 - _DROPOUT)
        return jax.lax.scan(step, state, (rows, noise, kept))

    none = jnp.zeros((batch, vertices, _EMBEDDING))
    variables = model.init(jax.random.key(0), ops[:batch], adjacency[:batch], none, none)
    state = variables["params"], variables["batch_stats"], optimizer.init(variables["params"])
    generator = np.random.default_rng(0)

    def advance(state: Any, call: int) -> tuple[Any, jax.Array]:
        rows = jnp.asarray(generator.integers(len(ops), size=(_STEPS, batch), dtype=np.int32))
        state, losses = run(state, rows, jax.random.key(call))
        return state, losses.block_until_ready()

    state, first = advance(state, 0)
    wall, cpu = time.perf_counter(), time.process_time()
    for call in range(arguments.steps // _STEPS):
        state, losses = advance(state, call + 1)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    count = arguments.steps // _STEPS * _STEPS * batch
    print(
        json.dumps(
            {
                "jax": jax.__version__,
                "first_loss": float(first[0]),
                "last_loss": float(losses.mean()),
                "train_per_second": count / wall,
                "train_per_cpu_second": count / cpu,
            }
        )
    )


if __name__ == "__main__":
    main()
