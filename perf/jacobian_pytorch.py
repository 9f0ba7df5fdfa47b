"""Data Jacobians in eager PyTorch, for perf/jacobian.py; prints CPU-seconds per network as JSON.

The network is NAS-Bench-201's, built anew for every cell; the Jacobian is the gradient of the sum of all logits. Its
leading components come from an SVD, as in the published code, and from the Gram matrix, as in tfnas: two numbers.
"""

import json
import sys
import time

import numpy as np
import torch
from proxies_pytorch import Network


def jacobian(operations, images):
    """Rows `[N, pixels]`."""
    network = Network(operations).train()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    inputs = images.clone().requires_grad_(True)
    return torch.autograd.grad(network(inputs).sum(), inputs)[0].flatten(1)


def by_svd(rows):
    """Leading components `[N, k]`."""
    left, values, _ = torch.linalg.svd(rows, full_matrices=False)
    return left[:, :128] * values[:128]


def by_gram(rows):
    """The same from the eigenvectors of the Gram matrix."""
    rows = rows.double()
    values, vectors = torch.linalg.eigh(rows @ rows.T)
    return vectors.flip(1)[:, :128] * values.flip(0)[:128].clamp(0).sqrt()


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    cells, images = json.loads(sys.argv[1]), torch.from_numpy(np.load(sys.argv[2])).permute(0, 3, 1, 2).contiguous()
    project = {"svd": by_svd, "gram": by_gram}[sys.argv[3]]
    project(jacobian(cells[0], images))
    first = time.process_time()
    for operations in cells:
        project(jacobian(operations, images))
    print(json.dumps({"first": first, "cell": (time.process_time() - first) / len(cells)}))


if __name__ == "__main__":
    main()
