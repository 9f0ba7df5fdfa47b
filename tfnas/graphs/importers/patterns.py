"""Operators that sources spell out as several operations, recognised by their shape as graphs and put together."""

from collections.abc import Callable

from tfnas.graphs.importers.draft import Draft, DraftNode
from tfnas.graphs.operators import (
    BATCH_NORM,
    CLIP,
    GELU,
    GROUP_NORM,
    L2_NORM,
    LAYER_NORM,
    MATMUL,
    RELU6,
    RMS_NORM,
    SWISH,
    WEIGHTED,
)

_NORMS = {BATCH_NORM, LAYER_NORM, GROUP_NORM, RMS_NORM}
_SCALES, _SHIFTS = {"mul", "div"}, {"add", "sub"}
_AFFINE = _SCALES | _SHIFTS


def fuse(draft: Draft) -> None:
    """Puts operators together, in place."""
    for node in draft.of("batch_to_space"):
        _fuse_dilation(draft, node)
    for node in draft.of("rsqrt", "sqrt"):
        _fuse_norm(draft, node)
    for node in draft.of("erf"):
        _fuse_gated(draft, node, GELU, _erf_region)
    for node in draft.of("tanh"):
        _fuse_gated(draft, node, GELU, _tanh_region)
    for node in draft.of("sigmoid"):
        _fuse_gated(draft, node, SWISH, lambda draft, node: ({node}, draft.only(node)))
    for node in draft.of("minimum", "maximum"):
        _fuse_clip(draft, node)
    for node in draft.of(CLIP):
        if draft.nodes[node].constant == 6.0:
            draft.nodes[node].operator = RELU6
    for node in draft.of(*_AFFINE):
        _fuse_affine(draft, node)


def _fuse_dilation(draft: Draft, node: int) -> None:
    """TensorFlow convolves with dilation by a plain convolution between two rearrangements of pixels."""
    convolution = draft.only(node)
    if convolution is None or draft.nodes[convolution].operator not in WEIGHTED:
        return
    first = draft.only(convolution)
    if first is None or draft.nodes[first].operator != "space_to_batch":
        return
    if draft.consumers(first) == {convolution} and draft.consumers(convolution) == {node}:
        this, source = draft.nodes[convolution], draft.nodes[first]
        # Its blocks are padded; positions of the whole image count.
        changes = {"kernel": this.kernel, "bias": this.bias, "input": source.input, "products": None}
        draft.replace({first, convolution, node}, node, this.operator, draft.sources(first), **changes)


def _fuse_gated(
    draft: Draft, node: int, operator: str, find: Callable[[Draft, int], tuple[set[int], int | None]]
) -> None:
    """x times a function of x."""
    region, source = find(draft, node)
    readers = draft.consumers(node)
    if source is None or len(readers) != 1:
        return
    (product,) = readers
    if draft.nodes[product].operator != "mul" or set(draft.sources(product)) != {source, node}:
        return
    if len({draft.nodes[other].output for other in (source, node, product)}) > 1:
        return  # a gated linear unit: two halves of one tensor, not a tensor and its own gate
    if any(draft.consumers(inner) - region - {product} for inner in region):
        return
    draft.replace(region | {product}, product, operator, [source], input=draft.nodes[product].input)


def _erf_region(draft: Draft, node: int) -> tuple[set[int], int | None]:
    source = draft.only(node)
    if source is not None and draft.nodes[source].operator == "neg":
        return {node, source}, draft.only(source)
    return {node}, source


def _tanh_region(draft: Draft, node: int) -> tuple[set[int], int | None]:
    """tanh of x + c x^3, where the cube is a power or two products."""
    total = draft.only(node)
    if total is None or draft.nodes[total].operator != "add" or len(draft.sources(total)) != 2:
        return set(), None
    for source, cube in (draft.sources(total), draft.sources(total)[::-1]):
        region = {node, total, cube}
        if draft.nodes[cube].operator == "pow" and draft.nodes[cube].constant == 3.0 and draft.only(cube) == source:
            return region, source
        if draft.nodes[cube].operator == "mul":
            squares = [other for other in draft.sources(cube) if other != source]
            if len(squares) == 1 and draft.only(squares[0]) == source and _is_square(draft.nodes[squares[0]]):
                return region | set(squares), source
    return set(), None


def _fuse_clip(draft: Draft, node: int) -> None:
    """The smaller of a bound and the larger of another bound and x."""
    before = draft.only(node)
    if before is None or before not in draft.nodes:
        return
    pair = {draft.nodes[node].operator, draft.nodes[before].operator}
    if pair == {"minimum", "maximum"} and draft.only(before) is not None and draft.consumers(before) == {node}:
        draft.replace({node, before}, node, CLIP, [draft.only(before)])


def _fuse_norm(draft: Draft, root: int) -> None:
    """Layer, RMS and L2 norms, from the square root outwards."""
    norm = _norm_core(draft, root)
    if norm is None:
        return
    region, source, operator, centred = norm
    core = set(region)
    while True:
        exits = {node for node in region if draft.consumers(node) - region}
        applied = any(set(draft.sources(node)) & {source, centred} for node in region - core)
        if len(exits) == 1 and applied and not exits & core:
            break
        grown = [
            reader
            for node in sorted(region)
            for reader in sorted(draft.consumers(node) - region)
            if draft.nodes[reader].operator in _AFFINE | {"neg"} and set(draft.sources(reader)) <= region | {source}
        ]
        if not grown:
            return
        region.add(min(grown))
    (last,) = exits
    dims = {"input": draft.nodes[min(core)].input}
    if operator == GROUP_NORM:  # the groups are an axis of their own only inside the norm
        dims = {"input": draft.nodes[source].output, "output": draft.nodes[source].output}
    draft.replace(region, last, operator, [source], **dims)


def _norm_core(draft: Draft, root: int) -> tuple[set[int], int, str, int | None] | None:
    """A norm from x to the inverse deviation: its nodes, x, the norm's name, and x minus its mean (None without)."""
    region, node = {root}, draft.only(root)
    while node is not None and draft.nodes[node].operator in ("maximum", "clip"):
        region.add(node)
        node = draft.only(node)
    if node is None:
        return None
    if draft.nodes[node].operator == "variance":
        source = draft.only(node)
        if source is None:
            return None
        means = [other for other in draft.consumers(source) if draft.nodes[other].operator == "mean"]
        return {*region, node, *means}, source, LAYER_NORM, None
    if draft.nodes[node].operator not in ("mean", "sum"):
        return None
    spread, power = draft.nodes[node].operator, draft.only(node)
    if power is None or not _is_square(draft.nodes[power]):
        return None
    region |= {node, power}
    sources = draft.sources(power)
    if len(sources) == 2 and draft.nodes[power].operator == "square":  # a squared difference of x and its mean
        for source, mean in (sources, sources[::-1]):
            if draft.nodes[mean].operator in ("mean", "sum") and draft.only(mean) == source:
                return region | {mean}, source, _layer_or_group(draft, mean, source), None
        return None
    if len(sources) != 1:
        return None
    centred = sources[0]
    if draft.nodes[centred].operator == "sub" and len(draft.sources(centred)) == 2:
        for source, mean in (draft.sources(centred), draft.sources(centred)[::-1]):
            if draft.nodes[mean].operator in ("mean", "sum") and draft.only(mean) == source:
                return region | {centred, mean}, source, _layer_or_group(draft, mean, source), centred
    return region, centred, RMS_NORM if spread == "mean" else L2_NORM, None


def _layer_or_group(draft: Draft, mean: int, source: int) -> str:
    """A group norm takes a mean over all positions for each group of channels, or for each channel."""
    whole, split, means = draft.nodes[source].output, draft.nodes[mean].input, draft.nodes[mean].output
    grouped = (split[2] < whole[2] and whole[2] % split[2] == 0) or means[2] == whole[2] > 1
    return GROUP_NORM if grouped and split[0] * split[1] > means[0] * means[1] else LAYER_NORM


def _is_square(node: DraftNode) -> bool:
    """A square, a product of a tensor with itself, or a second power."""
    if node.operator == "pow":
        return node.constant == 2.0
    return node.operator in ("square", "mul") and not node.scales


def _fuse_affine(draft: Draft, node: int) -> None:
    """Weights that scale or shift data belong to the operator before, or make a batch norm together."""
    this = draft.nodes[node]
    before = draft.only(node)
    if not this.scales or before is None or draft.consumers(before) != {node}:
        return
    earlier = draft.nodes[before]
    if earlier.operator in _NORMS and this.parameters in (0, this.output[2]):
        # tf_keras flattens tensors before it normalises layers; what follows sees their shape.
        draft.replace({before, node}, node, earlier.operator, draft.sources(before), input=this.input)
        return
    if this.operator in _SHIFTS and _takes_bias(draft, before, this.parameters):
        earlier.bias, earlier.parameters = 1, earlier.parameters + this.parameters
        draft.bypass(node)
        return
    pair = {earlier.operator, this.operator}
    if earlier.scales and pair & _SCALES and pair & _SHIFTS:
        draft.replace({before, node}, node, BATCH_NORM, draft.sources(before), input=earlier.input)


def _takes_bias(draft: Draft, node: int, numbers: int) -> bool:
    """Whether some numbers can be the bias of a node: one per channel, or per channel of each attention head."""
    weighted = draft.nodes[node]
    if weighted.operator not in WEIGHTED or weighted.bias or len(draft.operands(node)) > 1:
        return False
    _, width, channels = weighted.output
    return numbers in ({0, channels, width * channels} if weighted.operator == MATMUL else {0, channels})
