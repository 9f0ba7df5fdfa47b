"""Labels and colours of operations: the same operation has the same colour in every picture.

An operation belongs to a family by its name, whether the name comes from a search space (`nor_conv_3x3`,
`conv3x3-bn-relu`) or from a computation graph (`conv`). A larger kernel or a larger width has a darker shade.
"""

import re

import numpy as np

FAMILIES: dict[str, tuple[str, str]] = {
    "input, output": ("#d3d6dc", r"in|input|out|output|c_k(-\d)?"),
    "none": ("#ffffff", r"none|zero"),
    "skip": ("#ffe08a", r"skip.*|identity"),
    "pooling": ("#9fd6a4", r".*pool.*|mean|sum|max|min|global"),
    "separable convolution": ("#b59be0", r"sep.*conv.*|depthwise.*|kernel_\d+_expand_\d+|mbconv.*|inverted.*"),
    "dilated convolution": ("#e59ccb", r"dil.*conv.*"),
    "convolution": ("#6aa8de", r".*conv.*|channels_\d+"),
    "matrix product": ("#f7a968", r"matmul|embedding|dense|linear|gru|lstm|rnn"),
    "normalisation": ("#bfe5e2", r".*norm|lrn"),
    "activation": (
        "#fabfb0",
        r"relu6?|sigmoid|tanh|swish|gelu|(log_)?softmax|leaky_relu|[ps]?e?re?lu|selu|elu|clip|soft.*",
    ),
    "joining": ("#e9dfc3", r"add|sub|mul|div|concat|maximum|minimum"),
    "other": ("#f1f2f4", r".*"),
}
"""Colour and pattern of every family; the first family whose pattern fits the whole name has the operation."""

INK, LINE, FAINT, FRAME = "#1d2433", "#5d6675", "#b4bac6", "#4269d0"
"""Colours of text, of lines, and of all that does nothing."""

TIMES = "\u00d7"

_SHORT = {"skip_connect": "skip", "c_k": "$c_k$", "c_k-1": "$c_{k-1}$", "c_k-2": "$c_{k-2}$"}


def family(name: str) -> str:
    """The family of an operation, a key of `FAMILIES`.

    Example:
      >>> family("nor_conv_1x1"), family("maxpool3x3"), family("batch_norm")
      ('convolution', 'pooling', 'normalisation')
    """
    return next(family for family, (_, pattern) in FAMILIES.items() if re.fullmatch(pattern, name.lower()))


def colour(name: str, kernel: int | None = None) -> tuple[float, float, float]:
    """Red, green and blue of an operation, between 0 and 1.

    Args:
      name: name of the operation.
      kernel: width of the kernel; None for the number in the name.
    """
    base = np.array([int(FAMILIES[family(name)][0][start : start + 2], 16) for start in (1, 3, 5)]) / 255
    share = 1.0
    if "convolution" in family(name):
        widths = re.match(r".*?channels_(\d+)", name)
        if widths:
            share = 0.3 + 0.9 * min(int(widths[1]) / 64, 1)
        else:
            numbers = re.search(r"(\d+)x\d|kernel_(\d+)", name)
            width = kernel or (int(numbers[1] or numbers[2]) if numbers else 3)
            share = {1: 0.45, 2: 0.7, 3: 0.85, 4: 0.95}.get(width, 1.1 if width < 7 else 1.3)
    # Shares above 1 darken, shares below 1 mix with white.
    mixed = 1 - share * (1 - base) if share <= 1 else base * (1 - 0.45 * (share - 1))
    return tuple(mixed.clip(0, 1).tolist())


def label(name: str) -> str:
    """A short text for an operation.

    Example:
      >>> label("conv3x3-bn-relu"), label("avg_pool_3x3"), label("kernel_5_expand_6"), label("channels_16")
      ('conv 3×3', 'avg pool 3×3', 'MBConv 5×5 e6', '16 channels')
    """
    if name in _SHORT:
        return _SHORT[name]
    if match := re.fullmatch(r"kernel_(\d+)_expand_(\d+)", name):
        return f"MBConv {match[1]}{TIMES}{match[1]} e{match[2]}"
    if match := re.fullmatch(r"channels_(\d+)", name):
        return f"{match[1]} channels"
    text = re.sub(r"[_ -]?(\d+)x(\d+)", rf" \1{TIMES}\2", name.removeprefix("nor_").removesuffix("-bn-relu"))
    return re.sub(r"\b(max|avg)pool", r"\1 pool", text).replace("_", " ").strip()
