"""Networks as graphs of primitive operators: the same form for every source, and its GraphTensor.

References:
  Han et al. 2023, "A General-Purpose Transferable Predictor for Neural Architecture Search", section 3.1.
"""

import collections
import copy
import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfnas.errors import InvalidArchitectureError
from tfnas.graphs import gnn
from tfnas.graphs.operators import CODES, CONV_TRANSPOSE, DEPTHWISE_CONV, INPUT, OPERATORS, OUTPUT, UNKNOWN, WEIGHTED

OP, FLOW = "op", "flow"
SCHEMA_PATH = pathlib.Path(__file__).parent / "schemas" / "computation_graph.pbtxt"
SHAPE_FIELDS = ("height_in", "height_out", "width_in", "width_out", "channels_in", "channels_out")
_NODE_FEATURES = {"operator": (), "shape": (6,), "kernel": (2,), "bias": (), "parameters": ()}


@dataclasses.dataclass(frozen=True, eq=False)
class ComputationGraph:
    """A network: operators in topological order, and the flow of data between them.

    Attributes:
      operators: int64 `[V]`, indices into `OPERATORS`.
      shapes: int64 `[V, 6]`, columns `SHAPE_FIELDS`, in pixels (or positions of a sequence) and channels, of the first
        data input and of the output of one image; a tensor without height or width has 1 there.
      kernels: int64 `[V, 2]`, height and width of the kernel or the pooling window; 0 for operators without one.
      bias: int64 `[V]`, 1 where a bias is added.
      parameters: int64 `[V]`, numbers that the operator holds, trainable or not; numbers that several operators share
        count at the first operator.
      edges: int64 `[E, 2]`, distinct rows (source, target) with source < target.
      name: name of the network, "" where unknown.
      family: family of the network, "" where unknown.
      source: library or project of the network, "" where unknown.
      label: accuracy as a fraction, or NaN.
      unknown: names that the source gives to the `unknown` operators, in node order.
      products: int64 `[V]`, multiply-adds of every operator for one input as the importer counted them; None for a
        graph whose operators imply them. Records of graphs do not hold them.
      layers: names of the nodes in the source, in node order; empty where unknown. Records of graphs do not hold them.
      notes: lines that say what the importer could not count or understand. Records of graphs do not hold them.
      trainable: number of the parameters that training changes, None where unknown. Records of graphs do not hold it.

    Raises:
      InvalidArchitectureError: arrays that do not fit together, an edge that is repeated or runs backwards.

    Example:
      >>> graph = smallest_graph()
      >>> graph.operator_names, graph.edges.tolist()
      (['input', 'output'], [[0, 1]])
    """

    operators: np.ndarray
    shapes: np.ndarray
    kernels: np.ndarray
    bias: np.ndarray
    parameters: np.ndarray
    edges: np.ndarray
    name: str = ""
    family: str = ""
    source: str = ""
    label: float = float("nan")
    unknown: tuple[str, ...] = ()
    products: np.ndarray | None = None
    layers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    trainable: int | None = None

    def __post_init__(self) -> None:
        count = len(self.operators)
        if self.products is not None:
            object.__setattr__(self, "products", np.asarray(self.products, np.int64))
        for field, width in (("operators", ()), ("shapes", (6,)), ("kernels", (2,)), ("bias", ()), ("parameters", ())):
            array = np.asarray(getattr(self, field), np.int64)
            if array.shape != (count, *width):
                raise InvalidArchitectureError(f"{self.name}: {field} is {array.shape}, expected {(count, *width)}")
            object.__setattr__(self, field, array)
        edges = np.asarray(self.edges, np.int64).reshape(-1, 2)
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "unknown", tuple(self.unknown))
        if count and not 0 <= self.operators.min() <= self.operators.max() < len(OPERATORS):
            raise InvalidArchitectureError(f"{self.name}: an operator is not in the vocabulary of {len(OPERATORS)}")
        if len(edges) and (edges.min() < 0 or edges.max() >= count or (edges[:, 0] >= edges[:, 1]).any()):
            raise InvalidArchitectureError(f"{self.name}: an edge runs backwards or to a node that is not there")
        if not np.diff(np.sort(edges @ (count, 1))).all():
            raise InvalidArchitectureError(f"{self.name}: an edge is listed twice")
        if len(self.unknown) != np.sum(self.operators == CODES[UNKNOWN]):
            raise InvalidArchitectureError(f"{self.name}: {len(self.unknown)} names of unknown operators do not fit")
        if self.layers and len(self.layers) != count:
            raise InvalidArchitectureError(f"{self.name}: {len(self.layers)} names of layers for {count} operators")
        if self.products is not None and self.products.shape != (count,):
            raise InvalidArchitectureError(f"{self.name}: products is {self.products.shape}, expected {(count,)}")

    @property
    def num_nodes(self) -> int:
        """V."""
        return len(self.operators)

    @property
    def num_edges(self) -> int:
        """E."""
        return len(self.edges)

    @property
    def operator_names(self) -> list[str]:
        """V names; an unknown operator has the name that the source gives to it."""
        rest = iter(self.unknown)
        return [OPERATORS[code] if code else next(rest) for code in self.operators]

    @property
    def total_parameters(self) -> int:
        """Numbers that the network holds, trainable or not."""
        return int(self.parameters.sum())

    @property
    def multiply_adds(self) -> np.ndarray:
        """int64 `[V]`: products of convolutions and matrix products for one input; 0 for all other operators.

        A weight is used once per position of the output. A matrix product without weights, or with weights that another
        operator counts, multiplies each channel of its output with each channel of its input. The importer's own count
        goes before this rule.
        """
        if self.products is not None:
            return self.products
        positions = self.shapes[:, 1] * self.shapes[:, 3]
        channels_in, channels_out = self.shapes[:, 4], self.shapes[:, 5]
        area = np.maximum(1, self.kernels.prod(axis=1))
        depthwise = self.operators == CODES[DEPTHWISE_CONV]
        dense = area * channels_out * np.where(depthwise, 1, channels_in)
        # A bias that another operator counts is not among the parameters.
        weights = np.where(self.parameters == dense, dense, self.parameters - self.bias * channels_out)
        weights = np.where(weights > 0, weights, dense)
        transposed = self.operators == CODES[CONV_TRANSPOSE]
        positions = np.where(transposed, self.shapes[:, 0] * self.shapes[:, 2], positions)
        return np.where(np.isin(self.operators, [CODES[name] for name in WEIGHTED]), weights * positions, 0)

    def counts(self) -> collections.Counter[str]:
        """The number of times that each operator occurs."""
        return collections.Counter(self.operator_names)

    def replace(self, **fields: Any) -> "ComputationGraph":
        """A copy with other values of some fields."""
        return dataclasses.replace(self, **fields)


@functools.cache
def graph_spec() -> "gnn.GraphTensorSpec":
    """The GraphTensorSpec of one computation graph, from the schema file."""
    return gnn.create_graph_spec_from_schema_pb(gnn.read_schema(str(SCHEMA_PATH)))


@functools.cache
def training_spec() -> "gnn.GraphTensorSpec":
    """The GraphTensorSpec without the context features (name, source, unknown) that training does not need."""
    schema = copy.deepcopy(gnn.read_schema(str(SCHEMA_PATH)))
    for name in ("name", "source", "unknown"):
        del schema.context.features[name]
    return gnn.create_graph_spec_from_schema_pb(schema)


def smallest_graph() -> ComputationGraph:
    """An input that is an output."""
    zeros = np.zeros(2, np.int64)
    operators = np.array([CODES[INPUT], CODES[OUTPUT]])
    return ComputationGraph(operators, np.ones((2, 6)), np.zeros((2, 2)), zeros, zeros, np.array([[0, 1]]))


def to_example(graph: ComputationGraph) -> tf.train.Example:
    """The tf.train.Example that `tensorflow_gnn.write_example` makes of the graph, written directly (much faster)."""
    example = tf.train.Example()
    feature = example.features.feature
    for name in ("name", "family", "source"):
        feature[f"context/{name}"].bytes_list.value.append(getattr(graph, name).encode())
    feature["context/label"].float_list.value.append(graph.label)
    feature["context/unknown"].bytes_list.value.extend(name.encode() for name in graph.unknown)
    for name, values in (
        ("context/unknown.d1", [len(graph.unknown)]),
        (f"nodes/{OP}.#size", [graph.num_nodes]),
        (f"nodes/{OP}.operator", graph.operators.tolist()),
        (f"nodes/{OP}.shape", graph.shapes.ravel().tolist()),
        (f"nodes/{OP}.kernel", graph.kernels.ravel().tolist()),
        (f"nodes/{OP}.bias", graph.bias.tolist()),
        (f"nodes/{OP}.parameters", graph.parameters.tolist()),
        (f"edges/{FLOW}.#size", [graph.num_edges]),
        (f"edges/{FLOW}.#source", graph.edges[:, 0].tolist()),
        (f"edges/{FLOW}.#target", graph.edges[:, 1].tolist()),
    ):
        feature[name].int64_list.value.extend(values)
    return example


def from_example(serialized: bytes) -> ComputationGraph:
    """Inverse of `to_example`, from the serialised form.

    Raises:
      InvalidArchitectureError: not the record of a computation graph.
    """
    example = tf.train.Example()
    try:
        example.ParseFromString(serialized)
    except Exception as error:  # the protobuf runtimes have no common class
        raise InvalidArchitectureError("the record is not a tf.train.Example") from error
    feature = example.features.feature
    texts = {name: feature[f"context/{name}"].bytes_list.value for name in ("name", "family", "source")}
    if any(len(value) != 1 for value in texts.values()) or len(feature["context/label"].float_list.value) != 1:
        raise InvalidArchitectureError("the record lacks the context of a computation graph")
    nodes = {name: np.array(feature[f"nodes/{OP}.{name}"].int64_list.value, np.int64) for name in _NODE_FEATURES}
    size = feature[f"nodes/{OP}.#size"].int64_list.value
    ends = [np.array(feature[f"edges/{FLOW}.#{end}"].int64_list.value, np.int64) for end in ("source", "target")]
    if list(size) != [len(nodes["operator"])] or len(ends[0]) != len(ends[1]):
        raise InvalidArchitectureError("the record's sizes contradict each other")
    if len(nodes["shape"]) % 6 or len(nodes["kernel"]) % 2:
        raise InvalidArchitectureError("the record's shapes or kernels are incomplete")
    try:
        words = {name: value[0].decode() for name, value in texts.items()}
        unknown = tuple(name.decode() for name in feature["context/unknown"].bytes_list.value)
    except UnicodeDecodeError as error:
        raise InvalidArchitectureError("the record's names are not text") from error
    return ComputationGraph(
        operators=nodes["operator"],
        shapes=nodes["shape"].reshape(-1, 6),
        kernels=nodes["kernel"].reshape(-1, 2),
        bias=nodes["bias"],
        parameters=nodes["parameters"],
        edges=np.stack(ends, axis=1),
        label=feature["context/label"].float_list.value[0],
        unknown=unknown,
        **words,
    )


def to_graph_tensor(graphs: Sequence[ComputationGraph]) -> "gnn.GraphTensor":
    """N graphs as a GraphTensor of shape `[N]` with ragged node and edge sets.

    Example:
      >>> to_graph_tensor([smallest_graph()]).shape.as_list()
      [1]
    """
    return gnn.parse_example(graph_spec(), tf.constant([to_example(graph).SerializeToString() for graph in graphs]))
