"""What the experiments start from: shipped encoders and measured tables."""

from tfnas.encoders.arch2vec.saved import SavedCellEncoder, open_encoder
from tfnas.spaces import Space, get_space


def shipped(name: str) -> tuple[Space, SavedCellEncoder]:
    """A search space and the arch2vec encoder that ships for it."""
    space = get_space(name)
    return space, open_encoder(None, space)
