"""arch2vec's encoder and loss once more, in NumPy, straight from equations 1-5 and the notes on the published code."""

import numpy as np


def linear(layer, x):
    """A Keras Dense layer."""
    kernel, bias = (w.numpy().astype(np.float64) for w in layer.weights)
    return x @ kernel + bias


def batch_norm(layer, x, rows=None):
    """Inference mode, or batch statistics over the given rows."""
    if rows is None:
        mean, variance = layer.moving_mean.numpy(), layer.moving_variance.numpy()
    else:
        mean, variance = rows.mean(axis=0), rows.var(axis=0)
    return (x - mean) / np.sqrt(variance + 1e-5) * layer.gamma.numpy() + layer.beta.numpy()


def encode(model, ops, adjacency):
    """Vertex means and log deviations of one cell `[V, O]`, `[V, V]` in inference mode."""
    x = ops.astype(np.float64)
    for layer in model.graph_layers:
        x = (1 + float(layer.epsilon)) * x + (adjacency.T + float(layer.successor_weight) * adjacency) @ x
        for dense, norm in zip(layer.linears, layer.norms, strict=True):
            x = np.maximum(batch_norm(norm, linear(dense, x)), 0)
    return linear(model.mean_head, x), linear(model.log_stddev_head, x)


def edge_logits(model, latent):
    """Logits of the edges of one cell from latents `[V, D]`."""
    if model.config.decoder == "joint":
        hidden = np.maximum(linear(model.joint_hidden, latent.reshape(-1)), 0)
        return linear(model.joint_edges, hidden).reshape(len(latent), len(latent))
    source = target = latent
    if model.config.decoder == "bilinear":
        hidden = np.maximum(linear(model.edge_hidden, latent), 0)
        source, target = linear(model.edge_source, hidden), linear(model.edge_target, hidden)
    return source @ target.T


def sigmoid(x):
    """Logistic function."""
    return 1 / (1 + np.exp(-x))


def published_loss(ops, adjacency, mean, log_stddev, operation_logits, edge_logits):
    """The published code's loss of a batch: means over all entries, and the KL divided by B * N twice."""
    batch, vertices = ops.shape[:2]
    recon_ops = sigmoid(operation_logits)
    recon_adj = np.triu(sigmoid(edge_logits), 1)

    def cross_entropy(target, recon):
        with np.errstate(divide="ignore"):
            logs = np.maximum(np.log(recon), -100) * target + np.maximum(np.log(1 - recon), -100) * (1 - target)
        return -logs.mean()

    divergence = (1 + 2 * log_stddev - mean**2 - np.exp(log_stddev) ** 2).sum(axis=2).mean()
    kl = -0.5 / (batch * vertices) * divergence
    return cross_entropy(ops, recon_ops) + cross_entropy(adjacency, recon_adj) + kl
