"""Data Jacobians in eager PyTorch, for perf/jacobian.py; prints processor seconds per network as JSON.

The network is NAS-Bench-201's, built anew for every cell; the Jacobian is the gradient of the sum of all logits, and
its 128 (or fewer) leading components come from an SVD, as in the published code.
"""

import json
import sys
import time

import torch
from predictor_pytorch import Network


def jacobian(operations, images):
    """Rows `[N, pixels]`, projected to the leading directions."""
    network = Network(operations).train()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    inputs = images.clone().requires_grad_(True)
    rows = torch.autograd.grad(network(inputs).sum(), inputs)[0].flatten(1)
    left, values, _ = torch.linalg.svd(rows, full_matrices=False)
    return left[:, :128] * values[:128]


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    cells, count = json.loads(sys.argv[1]), int(sys.argv[2])
    images = torch.randn(count, 3, 32, 32)
    jacobian(cells[0], images)
    start = time.process_time()
    for operations in cells:
        jacobian(operations, images)
    print(json.dumps((time.process_time() - start) / len(cells)))


if __name__ == "__main__":
    main()
