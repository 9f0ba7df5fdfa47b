"""What the experiments start from: shipped encoders and measured tables."""

from tfnas.encoders.saved import SavedEncoder, open_encoder
from tfnas.spaces import Space, get_space


def shipped(name: str) -> tuple[Space, SavedEncoder]:
    """A search space and the arch2vec encoder that ships for it."""
    space = get_space(name)
    return space, open_encoder(None, space)
