"""Attention of ONNX and onnxruntime as matrix products and a softmax."""

from collections.abc import Callable

from tfnas.graphs.importers.onnx_writer import Writer

_HEADS_SECOND = (0, 2, 1, 3)


def _heads(writer: Writer, name: str, heads: int) -> str:
    """Tokens `[B, S, H D]` as heads `[B, H, S, D]`."""
    split = writer.write("Reshape", name, writer.constant([0, 0, heads, -1]))
    return writer.write("Transpose", split, perm=_HEADS_SECOND)


def _tokens(writer: Writer, name: str) -> str:
    """Heads `[B, H, S, D]` as tokens `[B, S, H D]`."""
    turned = writer.write("Transpose", name, perm=_HEADS_SECOND)
    return writer.write("Reshape", turned, writer.constant([0, 0, -1]))


def _attend(writer: Writer, query: str, key: str, value: str, mask: str = "", repeats: int = 1) -> str:
    """The softmax of q k^T + mask times v, for heads `[B, H, S, D]`; each head of keys serves `repeats` of queries."""
    if repeats > 1:
        tiles = writer.constant([1, repeats, 1, 1])
        key, value = writer.write("Tile", key, tiles), writer.write("Tile", value, tiles)
    scores = writer.write("MatMul", query, writer.write("Transpose", key, perm=(0, 1, 3, 2)))
    if mask:  # of booleans, or of numbers to add
        scores = writer.add(scores, writer.write("CastLike", mask, scores))
    return writer.write("MatMul", writer.write("Softmax", scores, axis=-1), value)


def _after(writer: Writer, past: str, present: str) -> str:
    """Keys or values behind those of earlier steps."""
    return writer.write("Concat", past, present, axis=2) if past else present


def _attention(writer: Writer) -> None:
    """Attention of ONNX: heads apart, or side by side in the channels."""
    tensors, flat = [writer.input(index) for index in range(3)], len(writer.shape(0) or ()) == 3
    heads = [(writer.shape(index) or (1, 1))[1] or 1 for index in (0, 1)]
    if flat:
        heads = [writer.attributes["q_num_heads"], writer.attributes["kv_num_heads"]]
        tensors = [_heads(writer, name, heads[min(index, 1)]) for index, name in enumerate(tensors)]
    query, key, value = tensors
    key, value = _after(writer, writer.input(4), key), _after(writer, writer.input(5), value)
    result = _attend(writer, query, key, value, writer.input(3), heads[0] // heads[1])
    writer.finish(_tokens(writer, result) if flat else result, key, value)


def _packed_attention(writer: Writer) -> None:
    """Attention of onnxruntime with the projection of tokens to queries, keys and values of as many heads."""
    tokens = writer.add(writer.write("MatMul", writer.input(0), writer.input(1)), writer.input(2))
    sizes, width = writer.attributes.get("qkv_hidden_sizes"), (writer.shape(1) or (3,))[-1] or 3
    sizes = writer.constant(list(sizes) if sizes else [width // 3] * 3)
    heads = writer.attributes["num_heads"]
    tensors = writer.write("Split", tokens, sizes, outputs=3, axis=-1)
    result = _attend(writer, *(_heads(writer, name, heads) for name in tensors), writer.input(5))
    writer.finish(_tokens(writer, result))


def _quantised_attention(writer: Writer) -> None:
    """The same with quantised tokens and weights."""
    writer.node.input[:2] = [writer.floats(writer.input(0)), writer.floats(writer.input(1))]
    del writer.node.input[3:]
    _packed_attention(writer)


def _multi_head_attention(writer: Writer) -> None:
    """Attention of onnxruntime over projected queries, keys and values, whose bias it adds."""
    heads, rank = writer.attributes["num_heads"], len(writer.shape(0) or ())
    if rank == 5:  # queries, keys and values of a head side by side: [B, S, H, 3, D]
        columns = writer.write("Split", writer.input(0), writer.constant([1, 1, 1]), outputs=3, axis=3)
        tensors = [writer.write("Reshape", name, writer.constant([0, 0, heads, -1])) for name in columns]
        query, key, value = (writer.write("Transpose", name, perm=_HEADS_SECOND) for name in tensors)
    else:
        tensors = [writer.input(index) for index in range(3)]
        if writer.input(3):
            sizes = [(writer.shape(index) or (1,))[-1] or 1 for index in range(3)]
            biases = writer.write("Split", writer.input(3), writer.constant(sizes), outputs=3, axis=0)
            tensors = [writer.add(name, bias) for name, bias in zip(tensors, biases, strict=True)]
        ranks = [len(writer.shape(index) or ()) for index in range(3)]
        query, key, value = (
            _heads(writer, name, heads) if rank == 3 else name for name, rank in zip(tensors, ranks, strict=True)
        )
    key, value = _after(writer, writer.input(6), key), _after(writer, writer.input(7), value)
    writer.finish(_tokens(writer, _attend(writer, query, key, value, writer.input(5))), key, value)


def _grouped_attention(writer: Writer) -> None:
    """Attention of onnxruntime whose heads of keys serve several heads of queries each."""
    heads, groups = writer.attributes["num_heads"], writer.attributes["kv_num_heads"]
    names = [writer.input(index) for index in range(3)]
    if not names[1]:
        size = ((writer.shape(0) or (1,))[-1] or 1) // (heads + 2 * groups)
        sizes = writer.constant([heads * size, groups * size, groups * size])
        names = writer.write("Split", names[0], sizes, outputs=3, axis=-1)
    query, key, value = (
        _heads(writer, name, count) for name, count in zip(names, (heads, groups, groups), strict=True)
    )
    if writer.attributes.get("do_rotary") and writer.input(7):
        query, key = (_rotate(writer, name, writer.input(7), writer.input(8)) for name in (query, key))
    key, value = _after(writer, writer.input(3), key), _after(writer, writer.input(4), value)
    result = _attend(writer, query, key, value, writer.input(10), heads // groups)
    writer.finish(_tokens(writer, result), key, value)


def _rotate(writer: Writer, heads: str, cosines: str, sines: str) -> str:
    """x cos + rotated x sin for heads `[B, H, S, D]`; the tables of all positions are cut to the first of them."""
    first, second = writer.write("Split", heads, outputs=2, axis=-1)
    turned = writer.write("Concat", writer.write("Neg", second), first, axis=-1)
    waves = []
    for table in (cosines, sines):
        row = writer.write("Slice", table, writer.constant([0]), writer.constant([1]), writer.constant([0]))
        waves.append(writer.write("Concat", row, row, axis=-1))
    products = [writer.write("Mul", name, wave) for name, wave in zip((heads, turned), waves, strict=True)]
    return writer.add(*products)


def _rotary_embedding(writer: Writer) -> None:
    """Rotation of onnxruntime, of heads, or of tokens whose heads stand side by side."""
    tokens, flat = writer.input(0), len(writer.shape(0) or ()) == 3
    if flat:
        size = 2 * ((writer.shape(2) or (1,))[-1] or 1)
        width = (writer.shape(0) or (size,))[-1] or size
        tokens = _heads(writer, tokens, writer.attributes.get("num_heads") or max(1, width // size))
    result = _rotate(writer, tokens, writer.input(2), writer.input(3))
    writer.finish(_tokens(writer, result) if flat else result)


ATTENTIONS: dict[str, Callable[[Writer], None]] = {
    "Attention": _packed_attention,
    "QAttention": _quantised_attention,
    "MultiHeadAttention": _multi_head_attention,
    "GroupQueryAttention": _grouped_attention,
    "RotaryEmbedding": _rotary_embedding,
}
"""Functions that write the attention of onnxruntime as plain operators, by name."""
STANDARD: dict[str, Callable[[Writer], None]] = {"Attention": _attention}
"""Functions that write the attention of ONNX as plain operators, by name."""
