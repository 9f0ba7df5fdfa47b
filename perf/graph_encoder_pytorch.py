"""The computation-graph encoder in PyTorch Geometric, for `perf/graph_encoder.py`; runs in an environment of its own.

Same network, loss, optimiser and graphs as `tfnas.encoders.computation_graph` with the preset `tfnas`. Messages are
gathered and scattered along edges: products with a sparse CSR matrix take a tenth longer. Prints one JSON object.
"""

import argparse
import json
import time

import numpy as np
import torch
from torch import nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import SimpleConv, global_mean_pool

_LARGEST_KERNEL = 15
_TEMPERATURE, _SIMILARITY_TEMPERATURE = 0.1, 0.25


class GraphEncoder(nn.Module):
    """Embeddings of operators, k-GNN layers, means over the graph, and a projection for the loss."""

    def __init__(self, operators: int, width: int = 64, layers: int = 6, embedding: int = 128, projection: int = 64):
        super().__init__()
        self.operator_table = nn.Embedding(operators, 24)
        self.kernel_tables = nn.ModuleList(nn.Embedding(_LARGEST_KERNEL + 1, 4) for _ in range(2))
        self.shape_layer = nn.Linear(6, 16)
        self.first = nn.Linear(24 + 16 + 8 + 1, width)
        self.own = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.heard = nn.ModuleList(
            nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(2)) for _ in range(layers)
        )
        self.sum_messages = SimpleConv(aggr="sum")
        self.readout = nn.Linear(width * (layers + 1), embedding)
        self.projection = nn.Sequential(nn.Linear(embedding, embedding), nn.ReLU(), nn.Linear(embedding, projection))

    def forward(self, batch: Data) -> torch.Tensor:
        nodes = batch.x
        kernels = nodes[:, 7:9].clamp(0, _LARGEST_KERNEL)
        columns = [
            self.operator_table(nodes[:, 0]),
            self.shape_layer(torch.log1p(nodes[:, 1:7].float()) / 4),
            *(table(kernels[:, side]) for side, table in enumerate(self.kernel_tables)),
            nodes[:, 9:].float(),
        ]
        x = torch.tanh(self.first(torch.cat(columns, 1)))
        ends = [batch.edge_index, batch.edge_index.flip(0)]
        pooled = [global_mean_pool(x, batch.batch, batch.num_graphs)]
        for own, heard in zip(self.own, self.heard, strict=True):
            x = torch.tanh(
                own(x) + sum(layer(self.sum_messages(x, end)) for layer, end in zip(heard, ends, strict=True))
            )
            pooled.append(global_mean_pool(x, batch.batch, batch.num_graphs))
        return self.readout(torch.cat(pooled, 1))


def spectral_loss(projection: torch.Tensor, family: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """The loss of `contrastive_losses` with the preset's settings."""
    other = ~torch.eye(len(family), dtype=torch.bool)
    positive = other & (family[:, None] == family[None])
    logits = projection @ projection.T / _TEMPERATURE
    log_shares = torch.log_softmax(logits.masked_fill(~other, -1e9), 1)
    distances = torch.cdist(points, points)
    likeness = -distances / distances[positive].mean() / _SIMILARITY_TEMPERATURE
    weights = torch.softmax(likeness.masked_fill(~positive, -1e9), 1)
    return -(weights * log_shares * positive).sum(1).mean()


def main() -> None:
    """Prints graphs per CPU-second of embedding and of training."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--graphs", required=True, help=".npz that perf/graph_encoder.py writes")
    parser.add_argument("--steps", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with np.load(arguments.graphs) as arrays:
        nodes, edges = torch.from_numpy(arrays["nodes"]).long(), torch.from_numpy(arrays["edges"]).long()
        node_bounds, edge_bounds = arrays["node_offsets"], arrays["edge_offsets"]
        family, points = torch.from_numpy(arrays["family"]).long(), torch.from_numpy(arrays["points"])
        batches, model = torch.from_numpy(arrays["batches"]).long(), GraphEncoder(int(arrays["num_operators"]))
    graphs = [
        Data(x=nodes[node_bounds[i] : node_bounds[i + 1]], edge_index=edges[edge_bounds[i] : edge_bounds[i + 1]].T)
        for i in range(len(family))
    ]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(rows: torch.Tensor) -> None:
        batch = Batch.from_data_list([graphs[row] for row in rows.tolist()])
        optimizer.zero_grad()
        projection = nn.functional.normalize(model.projection(model(batch)))
        spectral_loss(projection, family[rows], points[rows]).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5)
        optimizer.step()

    def embed(rows: torch.Tensor) -> None:
        with torch.no_grad():
            for part in rows.split(128):
                model(Batch.from_data_list([graphs[row] for row in part.tolist()]))

    result = {}
    for name, work in (("train", step), ("embed", embed)):
        work(batches[0])
        started = time.process_time()
        for call in range(arguments.steps):
            work(batches[call % len(batches)])
        seconds = time.process_time() - started
        result[f"{name}_per_cpu_second"] = arguments.steps * batches.shape[1] / seconds
    print(json.dumps(result))


if __name__ == "__main__":
    main()
