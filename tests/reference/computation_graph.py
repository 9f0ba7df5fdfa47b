"""The k-GNN and the contrastive loss once more, in NumPy loops over single graphs and single pairs."""

import numpy as np


def dense(layer, x, use_tanh=False):
    """A Keras Dense layer."""
    values = x @ layer.kernel.numpy().astype(np.float64)
    if layer.use_bias:
        values = values + layer.bias.numpy()
    return np.tanh(values) if use_tanh else values


def embed(model, graph):
    """`GraphEncoder.encode` of one computation graph, `[D]`."""
    logarithms = model.config.shape_scale == "log"
    shapes = np.log1p(graph.shapes) / 4 if logarithms else graph.shapes / (256, 256, 256, 256, 512, 512)
    parts = [
        model.operator_table.embeddings.numpy()[graph.operators],
        dense(model.shape_layer, shapes),
        *(table.embeddings.numpy()[graph.kernels[:, side]] for side, table in enumerate(model.kernel_tables)),
        graph.bias[:, None].astype(float),
    ]
    states = dense(model.first, np.concatenate(parts, axis=1), use_tanh=True)
    pooled = [states.mean(axis=0)]
    for own, heard in zip(model.own, model.heard, strict=True):
        total = dense(own, states)
        for name, layer in heard.items():
            messages = np.zeros_like(states)
            for source, target in graph.edges:
                if name == "forward":
                    messages[target] += states[source]
                else:
                    messages[source] += states[target]
            total = total + dense(layer, messages)
        states = np.tanh(total)
        pooled.append(states.mean(axis=0))
    return dense(model.readout, np.concatenate(pooled) if model.config.pooling == "all" else pooled[-1])


def contrastive_loss(projections, families, descriptors, partners, kind, temperature, scale=0.05, sign=-1):
    """Equations 4.1, 4.3 and 4.5, anchor by anchor."""
    losses = []
    count = len(projections)
    for i in range(count):
        logits = projections @ projections[i] / temperature
        others = [r for r in range(count) if r != i]
        log_sum = np.log(np.sum(np.exp(logits[others])))
        if kind == "simclr":
            losses.append(-(logits[partners[i]] - log_sum))
            continue
        positive = [r for r in others if families[r] == families[i]]
        if not positive:
            losses.append(0.0)
            continue
        distances = np.array([np.linalg.norm(descriptors[i] - descriptors[r]) for r in positive])
        weights = np.exp(sign * distances / scale) if kind == "spectral" else np.ones(len(positive))
        weights = weights / weights.sum()
        losses.append(-np.sum(weights * (logits[positive] - log_sum)))
    return np.array(losses)
