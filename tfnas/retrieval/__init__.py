"""Finding known architectures that are like one at hand: rankings, metrics, an index."""
