"""The six zero-cost scores in eager PyTorch, for perf/proxies.py; prints processor seconds as JSON.

The network is NAS-Bench-201's, the scores are computed as Abdelfattah et al. 2021 do: the gradient for grad_norm, snip
and fisher once, then Jacobian, grasp and synflow.
"""

import json
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

NODE_EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))


class Norm(nn.Module):
    """Batch statistics; off for synflow."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.active = True

    def forward(self, x):
        return self.norm(x) if self.active else x


def conv(inside, outside, size, stride=1):
    return nn.Sequential(nn.ReLU(), nn.Conv2d(inside, outside, size, stride, size // 2, bias=False), Norm(outside))


class Cell(nn.Module):
    def __init__(self, channels, operations):
        super().__init__()
        kinds = {
            "nor_conv_1x1": lambda: conv(channels, channels, 1),
            "nor_conv_3x3": lambda: conv(channels, channels, 3),
            "avg_pool_3x3": lambda: nn.AvgPool2d(3, 1, 1, count_include_pad=False),
            "skip_connect": nn.Identity,
        }
        self.edges = nn.ModuleList([kinds[name]() if name != "none" else nn.Module() for name in operations])
        self.operations = operations

    def forward(self, x):
        nodes = [x, 0, 0, 0]
        for edge, name, (source, target) in zip(self.edges, self.operations, NODE_EDGES, strict=True):
            if name != "none" and not isinstance(nodes[source], int):
                nodes[target] = nodes[target] + edge(nodes[source])
        return nodes[3] if not isinstance(nodes[3], int) else torch.zeros_like(x)


class Reduction(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.main = nn.Sequential(conv(channels, 2 * channels, 3, 2), conv(2 * channels, 2 * channels, 3))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels, 2 * channels, 1, bias=False))

    def forward(self, x):
        return self.main(x) + self.shortcut(x)


class Network(nn.Module):
    def __init__(self, operations):
        super().__init__()
        blocks = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), Norm(16)]
        for stage in range(3):
            if stage:
                blocks.append(Reduction(16 * 2 ** (stage - 1)))
            blocks += [Cell(16 * 2**stage, operations) for _ in range(5)]
        self.body = nn.Sequential(*blocks, Norm(64), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(64, 10)

    def forward(self, x):
        return self.classifier(self.body(x))


def scores(operations, images, labels):
    """All six."""
    network = Network(operations).train()
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    outputs = {}
    hooks = [layer.register_forward_hook(lambda m, i, o: outputs.__setitem__(m, o)) for layer in layers]
    loss = functional.cross_entropy(network(images), labels)
    weights = [layer.weight for layer in layers]
    found = torch.autograd.grad(loss, [*weights, *(outputs[layer] for layer in layers)], allow_unused=True)
    for hook in hooks:
        hook.remove()
    gradients = found[: len(layers)]
    result = {
        "grad_norm": sum(float(g.norm()) for g in gradients if g is not None),
        "snip": sum(float((w * g).abs().sum()) for w, g in zip(weights, gradients, strict=True) if g is not None),
        "fisher": sum(
            float(0.5 * (outputs[layer] * g).flatten(2).sum(2).pow(2).mean(0).sum()) * layer.weight[0].numel()
            for layer, g in zip(layers, found[len(layers) :], strict=True)
            if g is not None and g.dim() == 4
        ),
    }
    inputs = images.clone().requires_grad_(True)
    jacobian = torch.autograd.grad(network(inputs).sum(), inputs)[0].flatten(1).double().numpy()
    values = np.linalg.eigvalsh(np.corrcoef(jacobian)).clip(0) + 1e-5
    result["jacov"] = float(-np.sum(np.log(values) + 1 / values))
    loss = functional.cross_entropy(network(images), labels)
    first = torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True)
    product = sum((g.detach() * g).sum() for g in first if g is not None)
    second = torch.autograd.grad(product, weights, allow_unused=True)
    result["grasp"] = -sum(float((w * h).sum()) for w, h in zip(weights, second, strict=True) if h is not None)
    network.double()
    for module in network.modules():
        if isinstance(module, Norm):
            module.active = False
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    total = network(torch.ones(1, 3, 32, 32, dtype=torch.float64)).sum()
    flow = torch.autograd.grad(total, weights, allow_unused=True)
    result["synflow"] = sum(float((w * g).abs().sum()) for w, g in zip(weights, flow, strict=True) if g is not None)
    return result


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    cells = json.loads(sys.argv[1])
    images, labels = torch.randn(64, 3, 32, 32), torch.randint(10, (64,))
    scores(cells[0], images, labels)
    first = time.process_time()
    for operations in cells:
        scores(operations, images, labels)
    print(json.dumps({"first": first, "cell": (time.process_time() - first) / len(cells)}))


if __name__ == "__main__":
    main()
