"""arch2vec in PyTorch, written for the comparison in `perf/arch2vec.py`; runs in an environment of its own.

Same network, loss, optimiser and batch as `tfnas.encoders.arch2vec` with the preset `published_code`, and the data
tensors held in memory. The network runs eagerly, or with --compile as `torch.compile` makes it, which needs a C++
compiler. Prints one JSON object.
"""

import argparse
import itertools
import json
import os
import shutil
import time

import numpy as np
import torch
from torch import nn


class GraphIsomorphismLayer(nn.Module):
    def __init__(self, inputs: int, units: int):
        super().__init__()
        self.epsilon = nn.Parameter(torch.zeros(1))
        self.first, self.second = nn.Linear(inputs, units), nn.Linear(units, units)
        self.first_norm, self.second_norm = nn.BatchNorm1d(units), nn.BatchNorm1d(units)

    def forward(self, x: torch.Tensor, adjacency: torch.Tensor) -> torch.Tensor:
        shape = x.shape[:2]
        x = ((1 + self.epsilon) * x + adjacency @ x).flatten(0, 1)
        x = torch.relu(self.first_norm(self.first(x)))
        x = torch.relu(self.second_norm(self.second(x)))
        return x.unflatten(0, shape)


class Arch2Vec(nn.Module):
    def __init__(self, num_operations: int, units: int = 128, embedding: int = 16, layers: int = 4):
        super().__init__()
        sizes = [num_operations] + [units] * layers
        self.layers = nn.ModuleList(GraphIsomorphismLayer(a, b) for a, b in itertools.pairwise(sizes))
        self.mean, self.log_stddev = nn.Linear(units, embedding), nn.Linear(units, embedding)
        self.operations = nn.Linear(embedding, num_operations)

    def forward(self, ops: torch.Tensor, adjacency: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = ops
        for layer in self.layers:
            x = layer(x, adjacency)
        mean, log_stddev = self.mean(x), self.log_stddev(x)
        z = mean + torch.randn_like(mean) * log_stddev.exp()
        z = nn.functional.dropout(z, 0.3)
        return torch.sigmoid(self.operations(z)), torch.sigmoid(z @ z.transpose(1, 2)), mean, log_stddev


def loss_of(model: Arch2Vec, ops: torch.Tensor, directed: torch.Tensor) -> torch.Tensor:
    operations, adjacency, mean, log_stddev = model(ops, directed + directed.transpose(1, 2))
    likelihood = nn.functional.binary_cross_entropy(operations, ops)
    likelihood = likelihood + nn.functional.binary_cross_entropy(adjacency.triu(1), directed)
    divergence = (1 + 2 * log_stddev - mean**2 - log_stddev.exp() ** 2).sum(-1).mean()
    return likelihood - 0.5 / (ops.shape[0] * ops.shape[1]) * divergence


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cells", required=True, help=".npz with float32 ops [N, V, O] and adjacency [N, V, V]")
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="torch.compile, and the fused update of Adam")
    arguments = parser.parse_args()
    if arguments.compile and not shutil.which(os.environ.get("CXX", "g++")):
        parser.error("--compile needs a C++ compiler, g++ or what CXX names")
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    with np.load(arguments.cells) as cells:
        ops, adjacency = torch.from_numpy(cells["ops"]), torch.from_numpy(cells["adjacency"])
    model = Arch2Vec(ops.shape[2])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=arguments.compile)
    compute_loss = torch.compile(loss_of) if arguments.compile else loss_of
    generator = np.random.default_rng(0)

    def run(steps: int) -> None:
        for _ in range(steps):
            rows = torch.from_numpy(generator.integers(len(ops), size=arguments.batch_size))
            optimizer.zero_grad()
            loss = compute_loss(model, ops[rows], adjacency[rows])
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5)
            optimizer.step()

    run(50)
    wall, cpu = time.perf_counter(), time.process_time()
    run(arguments.steps)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    count = arguments.steps * arguments.batch_size
    embed_wall, embed_cpu = time.perf_counter(), time.process_time()
    model.eval()
    with torch.no_grad():
        for start in range(0, len(ops), 2048):
            directed = adjacency[start : start + 2048]
            x = ops[start : start + 2048]
            for layer in model.layers:
                x = layer(x, directed + directed.transpose(1, 2))
            model.mean(x).sum(1)
    embed_wall, embed_cpu = time.perf_counter() - embed_wall, time.process_time() - embed_cpu
    print(
        json.dumps(
            {
                "torch": torch.__version__,
                "train_per_second": count / wall,
                "train_per_cpu_second": count / cpu,
                "embed_per_second": len(ops) / embed_wall,
                "embed_per_cpu_second": len(ops) / embed_cpu,
            }
        )
    )


if __name__ == "__main__":
    main()
