"""Fused operators of onnxruntime, as the operators that were fused."""

from collections.abc import Callable

from tfnas.graphs.importers.onnx_attention import ATTENTIONS
from tfnas.graphs.importers.onnx_writer import Writer

_CHANNELS_SECOND, _CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
_ACTIVATIONS = {"QuickGelu": "Swish"}
_WINDOW = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
_PRODUCT = ("alpha", "beta", "transA", "transB")


def _chosen(writer: Writer, names: tuple[str, ...]) -> dict[str, object]:
    return {name: writer.attributes[name] for name in names if name in writer.attributes}


def _activated(writer: Writer, name: str) -> str:
    """The result of the activation that the attribute `activation` names."""
    kind = writer.attributes.get("activation", b"").decode()
    return writer.write(_ACTIVATIONS.get(kind, kind), name) if kind else name


def _convolve(writer: Writer) -> None:
    """A convolution, a sum with another tensor, and an activation."""
    result = writer.write("Conv", *map(writer.input, range(3)), **_chosen(writer, _WINDOW))
    writer.finish(_activated(writer, writer.add(result, writer.input(3))))


def _convolve_channels_last(writer: Writer) -> None:
    images = writer.write("Transpose", writer.input(0), perm=_CHANNELS_SECOND)
    result = writer.write("Conv", images, writer.input(1), writer.input(2), **_chosen(writer, _WINDOW))
    result = writer.write("Transpose", result, perm=_CHANNELS_LAST)
    writer.finish(_activated(writer, writer.add(result, writer.input(3))))


def _multiply(writer: Writer) -> None:
    """A matrix product whose operands may be transposed."""
    operands = []
    for index, name in enumerate(("transA", "transB")):
        rank = len(writer.shape(index) or ())
        swapped = [*range(rank - 2), rank - 1, rank - 2]
        flag = writer.attributes.get(name, 0) and rank > 1
        operands.append(writer.write("Transpose", writer.input(index), perm=swapped) if flag else writer.input(index))
    writer.finish(_activated(writer, writer.write("MatMul", *operands)))


def _gemm(writer: Writer) -> None:
    writer.finish(_activated(writer, writer.write("Gemm", *map(writer.input, range(3)), **_chosen(writer, _PRODUCT))))


def _gemm_gelu(writer: Writer) -> None:
    product = writer.add(writer.write("MatMul", writer.input(0), writer.input(1)), writer.input(2))
    writer.finish(writer.write("Gelu", product))


def _add_then(kind: str) -> Callable[[Writer], None]:
    """An activation of the sum of all operands."""

    def write(writer: Writer) -> None:
        writer.finish(writer.write(kind, writer.add(*writer.node.input)))

    return write


def _add(writer: Writer) -> None:
    writer.finish(writer.add(*writer.node.input))


def _norm(kind: str, scale: int, skips: tuple[int, ...] = ()) -> Callable[[Writer], None]:
    """A norm over channels of the sum of the first operand and other operands.

    Args:
      kind: name of the norm in ONNX.
      scale: position of the scale, which the shift follows in a layer norm.
      skips: positions of the other operands.
    """
    affine = (scale, scale + 1) if kind == "LayerNormalization" else (scale,)

    def write(writer: Writer) -> None:
        total = writer.add(writer.input(0), *map(writer.input, skips))
        writer.finish(writer.write(kind, total, *map(writer.input, affine), axis=-1), "", "", total)

    return write


def _group_norm(writer: Writer) -> None:
    """A group norm of images whose channels stand last, or second, and swish."""
    last = writer.attributes.get("channels_last", 1)
    images = writer.write("Transpose", writer.input(0), perm=_CHANNELS_SECOND) if last else writer.input(0)
    groups = writer.attributes["groups"]
    result = writer.write("GroupNormalization", images, writer.input(1), writer.input(2), num_groups=groups)
    result = writer.write("Transpose", result, perm=_CHANNELS_LAST) if last else result
    writer.finish(writer.write("Swish", result) if writer.attributes.get("activation") else result)


def _embed(writer: Writer) -> None:
    """Sums of the embeddings of words, positions and segments, and their layer norm."""
    ids, segments, words, positions, kinds, scale, shift, mask = map(writer.input, range(8))
    if writer.input(8):
        vectors = writer.write("Gather", positions, writer.input(8))
    else:
        length = (writer.shape(0) or (1,))[-1] or 1
        vectors = writer.write("Slice", positions, writer.constant([0]), writer.constant([length]))
    segments = segments and writer.write("Gather", kinds, segments)
    total = writer.add(writer.write("Gather", words, ids), vectors, segments)
    writer.finish(writer.write("LayerNormalization", total, scale, shift, axis=-1), mask or ids, total)


FUSED: dict[str, Callable[[Writer], None]] = {
    **ATTENTIONS,
    "FusedConv": _convolve,
    "NhwcConv": _convolve_channels_last,
    "NhwcFusedConv": _convolve_channels_last,
    "FusedMatMul": _multiply,
    "TransposeMatMul": _multiply,
    "FusedGemm": _gemm,
    "GemmFastGelu": _gemm_gelu,
    "Gelu": _add_then("Gelu"),
    "FastGelu": _add_then("Gelu"),
    "BiasGelu": _add_then("Gelu"),
    "QuickGelu": _add_then("Swish"),
    "BiasSoftmax": _add_then("Softmax"),
    "BiasAdd": _add,
    "SkipLayerNormalization": _norm("LayerNormalization", scale=2, skips=(1, 4)),
    "SkipSimplifiedLayerNormalization": _norm("RMSNormalization", scale=2, skips=(1, 3)),
    "SimplifiedLayerNormalization": _norm("RMSNormalization", scale=1),
    "EmbedLayerNormalization": _embed,
    "GroupNorm": _group_norm,
}
"""Functions that write fused operators as plain operators, by name."""
