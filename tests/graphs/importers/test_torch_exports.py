"""PyTorch models as both exporters to ONNX and torch.export write them, against counts by hand.

Needs an interpreter with torch, timm, transformers and onnxscript: that of `make corpus-venv`, or the interpreter that
the environment variable TFNAS_TORCH_PYTHON names.
"""

import os
import pathlib
import subprocess

import pytest

from tfnas.graphs import importers

SCRIPT = pathlib.Path(__file__).with_name("torch_exports.py")
PYTHON = os.environ.get("TFNAS_TORCH_PYTHON", ".venv-corpus/bin/python")
TOKENS, DECODER_TOKENS = 64, 32  # of torch_exports.py
NORM = 2  # numbers of a norm per channel; running means and variances are not trained


def flattened():
    """A 3 x 3 convolution at 32 x 32, and a classifier on 16 x 16 x 8 numbers."""
    return 32 * 32 * 27 * 8 + 2048 * 10, 27 * 8 + 8 + 2048 * 10 + 10


def expanded():
    """A token before 8 tokens, and a dense layer from 16 to 32."""
    return 9 * 16 * 32, 16 + 16 * 32 + 32


def recurrent(gates):
    """20 steps from 32 to 64 channels; PyTorch has two biases."""
    return 20 * gates * 64 * (32 + 64), gates * 64 * (32 + 64 + 2)


def transformer_block(tokens, width, hidden):
    """Four projections, two products of attention, two dense layers; weights, biases and two norms."""
    products = tokens * (4 * width**2 + 2 * width * hidden) + 2 * tokens**2 * width
    return products, 4 * width**2 + 4 * width + 2 * width * hidden + hidden + width + 2 * NORM * width


def vit(depth=12, width=768, hidden=3072, patches=14 * 14, patch=16 * 16 * 3):
    """Patches, a class token, positions, blocks, a norm and a classifier: 17.56 G."""
    block, weights = transformer_block(patches + 1, width, hidden)
    held = (patch + 1) * width + width + (patches + 1) * width + depth * weights + NORM * width
    return patches * patch * width + depth * block + width * 1000, held + width * 1000 + 1000


def bert(depth=4, width=768, hidden=3072, vocabulary=30522):
    block, weights = transformer_block(TOKENS, width, hidden)
    return depth * block, (vocabulary + 512 + 2) * width + NORM * width + depth * weights


def gpt2(depth=4, width=768, vocabulary=50257):
    """The classifier is the table of tokens."""
    block, weights = transformer_block(TOKENS, width, 4 * width)
    return (
        depth * block + TOKENS * width * vocabulary,
        (vocabulary + 1024) * width + depth * weights + NORM * width,
    )


def llama(depth=3, width=256, hidden=688, vocabulary=1000, heads=8, shared=2):
    """Keys and values have 2 of 8 heads; three dense layers; RMS norms; no biases."""
    dense = 2 * width**2 + 2 * width * (width * shared // heads) + 3 * width * hidden
    products = depth * (TOKENS * dense + 2 * TOKENS**2 * width) + TOKENS * width * vocabulary
    return products, 2 * vocabulary * width + depth * (dense + 2 * width) + width


def t5(depth=6, width=512, hidden=2048, vocabulary=32128, heads=8):
    """Encoder, decoder with attention to the encoder, and a classifier that is the table of tokens; no biases."""
    dense, square = 2 * width * hidden, 4 * width**2
    encoder = TOKENS * (square + dense) + 2 * TOKENS**2 * width
    itself = DECODER_TOKENS * square + 2 * DECODER_TOKENS**2 * width
    across = (DECODER_TOKENS + TOKENS) * square // 2 + 2 * DECODER_TOKENS * TOKENS * width
    products = depth * (encoder + itself + across + DECODER_TOKENS * dense) + DECODER_TOKENS * width * vocabulary
    norms = depth * 5 * width + 2 * width
    return products, vocabulary * width + depth * (3 * square + 2 * dense) + norms + 2 * 32 * heads


def swin(depths=(2, 2, 6, 2), width=96, window=7):
    """Windows of 7 x 7 positions at a quarter, an eighth ... of 224 pixels: 4.49 G."""
    side, heads = 56, 3
    products, held = side**2 * 48 * width, 48 * width + width + NORM * width
    for stage, depth in enumerate(depths):
        block, weights = transformer_block(side**2, width, 4 * width)
        block -= 2 * side**4 * width - 2 * side**2 * window**2 * width  # attention within the window alone
        products, held = products + depth * block, held + depth * (weights + (2 * window - 1) ** 2 * heads)
        if stage < len(depths) - 1:
            side, heads = side // 2, 2 * heads
            products, held = products + side**2 * 8 * width**2, held + 8 * width**2 + NORM * 4 * width
            width *= 2
    return products + width * 1000, held + NORM * width + width * 1000 + 1000


def convnext(depths=(3, 3, 9, 3), widths=(96, 192, 384, 768)):
    """A 7 x 7 depthwise convolution and two dense layers per block: 4.46 G."""
    side = 56
    products, held = side**2 * 48 * widths[0], 49 * widths[0] + NORM * widths[0]
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        if stage:
            side, before = side // 2, widths[stage - 1]
            products += side**2 * 4 * before * width
            held += 4 * before * width + width + NORM * before
        products += depth * side**2 * (49 * width + 8 * width**2)
        held += depth * (50 * width + NORM * width + 8 * width**2 + 4 * width + width + width)
    return products + 768 * 1000, held + NORM * 768 + 768 * 1000 + 1000


def resnet18():
    """Blocks of two 3 x 3 convolutions; the first of a stage halves the side: 1.81 G."""
    products, held = 112**2 * 147 * 64, 147 * 64 + NORM * 64
    for side, width, before in ((56, 64, 64), (28, 128, 64), (14, 256, 128), (7, 512, 256)):
        weights = 9 * before * width + 3 * 9 * width**2 + (before * width if before != width else 0)
        products, held = products + side**2 * weights, held + weights + NORM * width * (4 + (before != width))
    return products + 512 * 1000, held + 512 * 1000 + 1000


def densenet121(growth=32):
    """A 1 x 1 convolution to 128 channels and a 3 x 3 convolution to 32 channels per layer: 2.83 G."""
    products, held, width = 112**2 * 147 * 64, 147 * 64 + NORM * 64, 64
    for side, layers in ((56, 6), (28, 12), (14, 24), (7, 16)):
        for _ in range(layers):
            weights = width * 4 * growth + 9 * 4 * growth * growth
            products, held = products + side**2 * weights, held + weights + NORM * (width + 4 * growth)
            width += growth
        if side > 7:
            products, held = products + side**2 * width**2 // 2, held + width**2 // 2 + NORM * width
            width //= 2
    return products + width * 1000, held + NORM * width + width * 1000 + 1000


def efficientnet_b0():
    """Inverted bottlenecks with squeeze and excitation by a quarter of the block's input: 0.39 G."""
    side, before = 112, 32
    products, held = side**2 * 27 * 32, 27 * 32 + NORM * 32
    stages = (
        *((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3)),
        *((6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1)),
    )
    for expansion, kernel, stride, width, repeats in stages:
        for repeat in range(repeats):
            inner, squeezed = before * expansion, before // 4
            if expansion > 1:
                products, held = products + side**2 * before * inner, held + before * inner + NORM * inner
            side = side // stride if not repeat else side
            products += side**2 * inner * (kernel**2 + width) + 2 * inner * squeezed
            held += inner * (kernel**2 + width) + NORM * (inner + width) + 2 * inner * squeezed + squeezed + inner
            before = width
    products, held = products + side**2 * before * 1280, held + before * 1280 + NORM * 1280
    return products + 1280 * 1000, held + 1280 * 1000 + 1000


COUNTS = {
    **{"flattened": flattened(), "expanded": expanded(), "lstm": recurrent(gates=4), "gru": recurrent(gates=3)},
    **{"resnet18": resnet18(), "densenet121": densenet121(), "efficientnet_b0": efficientnet_b0()},
    **{"convnext_tiny": convnext(), "vit_base_patch16_224": vit(), "swin_tiny_patch4_window7_224": swin()},
    **{"bert": bert(), "gpt2": gpt2(), "llama": llama(), "t5": t5()},
}
"""Multiply-adds and trained numbers of each model."""
PUBLISHED = {
    "vit_base_patch16_224": 17.56,
    "swin_tiny_patch4_window7_224": 4.49,
    "convnext_tiny": 4.46,
    "resnet18": 1.81,
}
"""Billions of multiply-adds in the documentation of torchvision."""
COPIES = {"gpt2": 50257 * 768, "t5": 32128 * 512}
"""Numbers that the older exporter writes twice: the transposed table of tokens of the classifier."""


def test_counts_by_hand_are_those_that_are_published():
    for model, billions in PUBLISHED.items():
        assert COUNTS[model][0] / 1e9 == pytest.approx(billions, abs=0.01)
    assert COUNTS["vit_base_patch16_224"][1] == 86_567_656
    assert COUNTS["resnet18"][1] == 11_689_512


@pytest.mark.slow
@pytest.mark.parametrize("model", COUNTS)
def test_exports_have_the_counts_by_hand(model, tmp_path):
    """Multiply-adds within 1 %; numbers within 2 %, as exporters fold norms, keep buffers or leave out zeros."""
    if not os.path.exists(PYTHON):
        pytest.skip(f"no {PYTHON}: `make corpus-venv` makes an environment")
    exported = subprocess.run([PYTHON, str(SCRIPT), model, str(tmp_path)], capture_output=True, text=True)
    assert exported.returncode == 0, exported.stderr[-2000:]
    paths = [*sorted(tmp_path.glob("*.onnx")), tmp_path / "program.pt2"]
    assert len(paths) >= 4
    products, held = COUNTS[model]
    shape = {"flattened": (1, 3, 32, 32), "expanded": (1, 8, 16)}.get(model)
    faults = []
    for path in paths:
        graph = importers.from_file(path, input_shape=shape)
        path.unlink()
        numbers = held + (COPIES.get(model, 0) if path.name.startswith("script") else 0)
        counted = int(graph.multiply_adds.sum()), graph.total_parameters
        if counted != (pytest.approx(products, rel=0.01), pytest.approx(numbers, rel=0.02)) or graph.unknown:
            faults.append(f"{path.name}: {counted}, expected {(products, numbers)}; {graph.unknown} {graph.notes}")
    assert not faults, "\n".join(faults)
