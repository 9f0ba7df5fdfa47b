"""Architectures in the notations of other packages: hand-checked examples, round trips, mistakes."""

import collections
import contextlib
import json
import re
import types

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fork import ROOT
from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.spaces import (
    SPACES,
    Architecture,
    Darts,
    MobileNetV3,
    NASBench101,
    NASBench201,
    NASBench301,
    NATSSize,
    get_space,
)
from tfnas.spaces.encodings import candidates

EXAMPLES = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
Genotype = collections.namedtuple("Genotype", "normal normal_concat reduce reduce_concat")

# The cell that DARTS publishes as `DARTS`, in cnn/genotypes.py.
DARTS = Genotype(
    normal=[
        ("sep_conv_3x3", 1),
        ("sep_conv_3x3", 0),
        ("skip_connect", 0),
        ("sep_conv_3x3", 1),
        ("skip_connect", 0),
        ("sep_conv_3x3", 1),
        ("sep_conv_3x3", 0),
        ("skip_connect", 2),
    ],
    normal_concat=[2, 3, 4, 5],
    reduce=[
        ("max_pool_3x3", 0),
        ("max_pool_3x3", 1),
        ("skip_connect", 2),
        ("max_pool_3x3", 0),
        ("max_pool_3x3", 0),
        ("skip_connect", 2),
        ("skip_connect", 2),
        ("avg_pool_3x3", 0),
    ],
    reduce_concat=[2, 3, 4, 5],
)
# By hand: max, avg, skip, sep3, sep5, dil3, dil5 are 0 to 6.
DARTS_COMPACT = (
    ((1, 3), (0, 3), (0, 2), (1, 3), (0, 2), (1, 3), (0, 3), (2, 2)),
    ((0, 0), (1, 0), (2, 2), (0, 0), (0, 0), (2, 2), (2, 2), (0, 1)),
)
# The cell of the README of google-research/nasbench: Inception-like, of 7 vertices and 9 edges.
INCEPTION = {
    "matrix": [
        [0, 1, 1, 1, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 0],
    ],
    "ops": [
        "input",
        "conv1x1-bn-relu",
        "conv3x3-bn-relu",
        "conv3x3-bn-relu",
        "conv3x3-bn-relu",
        "maxpool3x3",
        "output",
    ],
}


class ModelSpec:
    """What the nasbench package keeps of a cell that has a vertex to prune: conv1x1 reaches no output."""

    def __init__(self):
        self.original_matrix = np.array([[0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
        self.original_ops = ["input", "conv1x1-bn-relu", "maxpool3x3", "output"]
        self.matrix = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]])
        self.ops = ["input", "maxpool3x3", "output"]
        self.valid_spec, self.data_format = True, "channels_last"


def edges_of(cell):
    """Operations of a NAS-Bench-201 cell by the nodes that an edge joins, read from the benchmark's text."""
    nodes = NASBench201().to_string(cell).split("+")
    texts = [(node + 1, text.split("~")) for node, row in enumerate(nodes) for text in row.strip("|").split("|")]
    return {(int(source), target): name for target, (name, source) in texts}


@EXAMPLES
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_written_is_read(space, seed):
    architecture = space.architecture(space.sample(1, seed), 0)
    written = space.written(architecture)
    assert "graph" in written
    for name, value in written.items():
        if name == "hash":
            continue  # tested below: it names a class of isomorphic cells
        as_json = json.dumps(value)
        for form in (value, str(value), as_json, json.loads(as_json)):
            assert space.read(form) == architecture, (name, form)
            assert space.read(form, name) == architecture


def test_every_encoding_writes_something(space):
    architecture = space.architecture(space.sample_without("none", 1, 0), 0)
    assert space.written(architecture).keys() == space.encodings.keys()


def test_naslib_numbers_of_nasbench201():
    """NASLib lists the edges 1-2, 1-3, 1-4, 2-3, 2-4, 3-4 and the operations skip, none, conv 3x3, conv 1x1, pool."""
    operations = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
    edges = ((1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4))
    rng = np.random.default_rng(0)
    space = NASBench201()
    for _ in range(20):
        indices = tuple(rng.integers(5, size=6).tolist())
        cell = space.read(indices)
        names = edges_of(cell)
        assert [names[source - 1, target - 1] for source, target in edges] == [operations[index] for index in indices]
        assert space.write(cell, "naslib") == indices


def test_numbers_of_nats_bench():
    """The second and the 13,715th cell of the official file, the latter the best after 12 epochs on CIFAR-10."""
    space = NASBench201()
    for number, text, indices in (
        (
            1,
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|",
            (2, 2, 0, 4, 2, 0),
        ),
        (
            13714,
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|",
            (2, 2, 0, 2, 3, 2),
        ),
    ):
        cell = space.read(text)
        assert space.write(cell, "index") == number
        assert space.write(cell, "naslib") == indices
        for form in (number, str(number), indices, list(indices), str(indices), np.array(indices), np.int64(number)):
            assert space.read(form) == cell


def test_numbers_of_the_size_space():
    """The last stage runs fastest: 8^4 architectures begin with the same width."""
    space = NATSSize()
    assert space.write(space.read("8:8:8:8:16"), "index") == 1
    assert space.write(space.read("16:8:8:8:8"), "index") == 4096
    assert space.write(space.read(32767), "nats_bench") == "64:64:64:64:64"
    cells = space.enumerate()
    for number in (0, 777, 32767):
        assert space.read(number) == space.architecture(cells, number)


@pytest.mark.data
def test_numbers_are_those_of_the_official_files(data_dir):
    for space, name in ((NASBench201(), "nasbench201"), (NATSSize(), "nats_size")):
        with np.load(data_dir / f"{name}.npz") as arrays:
            texts = arrays["arch"].tolist()
        for number in range(0, len(texts), 997):
            assert space.write(space.read(number), "nats_bench") == texts[number]
            assert space.write(space.read(texts[number]), "index") == number


def test_genotypes_of_darts():
    space = NASBench301()
    pair = space.read(DARTS)
    assert space.write(pair, "naslib") == DARTS_COMPACT
    text = space.write(pair, "genotype")
    assert text == repr(DARTS)
    forms = (
        f"DARTS = {text}",
        text.replace("[2, 3, 4, 5]", "range(2, 6)"),
        f"genotypes.{text}",
        DARTS._replace(normal_concat=range(2, 6)),
        json.dumps(DARTS._asdict()),
        DARTS_COMPACT,
        str(DARTS_COMPACT),
        {"normal": DARTS.normal, "reduce": DARTS.reduce},
    )
    for form in forms:
        assert space.read(form) == pair
    normal, reduction = space.cells(pair)
    assert normal.operations[2:10] == tuple(name for name, _ in DARTS.normal)
    assert Darts().to_genotype(reduction)[1] == [state for _, state in DARTS.reduce]


def test_a_darts_cell_is_both_cells_of_its_genotype():
    space = Darts()
    cell = space.read(DARTS._replace(reduce=DARTS.normal))
    assert space.write(cell, "genotype").count(f"={DARTS.normal}") == 2
    assert space.write(cell, "naslib") == (DARTS_COMPACT[0],) * 2
    with pytest.raises(InvalidArchitectureError, match="the normal and the reduction cell differ"):
        space.read(DARTS)


def test_naslib_has_no_number_for_none():
    space = Darts()
    operations = ["none", *["skip_connect"] * 7]
    cell = space.from_genotype(operations, [0, 1] * 4)
    assert space.read(space.write(cell, "genotype")) == cell
    with pytest.raises(InvalidArchitectureError, match="no number for 'none'"):
        space.write(cell, "naslib")
    assert list(space.written(cell)) == ["genotype", "graph"]


def test_specifications_of_nasbench(small_nasbench101):
    space = NASBench101()
    cell = space.read(INCEPTION)
    assert space.write(cell, "nasbench") == INCEPTION
    # NASLib's numbers: input, output, maxpool, conv 1x1, conv 3x3.
    flat = [entry for row in INCEPTION["matrix"] for entry in row]
    assert space.write(cell, "naslib") == (*flat, 0, 3, 4, 4, 4, 2, 1)
    matrix, names = INCEPTION["matrix"], INCEPTION["ops"]
    for form in (
        f"ModelSpec(matrix={matrix}, ops={names})",
        f"api.ModelSpec({matrix}, {names})",
        f"{{'matrix': array({matrix}, dtype=int8), 'ops': {names}}}",
        {"module_adjacency": np.array(matrix), "module_operations": names},
        # The labels of the two ends are ignored.
        {"matrix": matrix, "ops": [None, *names[1:-1], None]},
    ):
        assert space.read(form) == cell


def test_a_specification_is_read_after_pruning():
    space, specification = NASBench101(), ModelSpec()
    pruned = space.read(specification)
    assert pruned.operations == ("input", "maxpool3x3", "output")
    assert space.read(str(vars(specification))) == pruned
    before = {name: value for name, value in vars(specification).items() if name.startswith("original")}
    assert space.read(before).num_vertices == 4
    assert space.canonical_hash(space.read(before)) == space.canonical_hash(pruned)
    # A cell without a path is pruned to nothing.
    specification.original_matrix[2, 3] = 0
    specification.matrix = specification.ops = None
    with pytest.raises(InvalidArchitectureError, match="no path leads from input to output"):
        space.read(specification)


def test_hashes_of_nasbench101(small_nasbench101, monkeypatch):
    space = small_nasbench101
    cells = space.enumerate()
    md5 = np.array([list(bytes.fromhex(space.canonical_hash(space.architecture(cells, row)))) for row in range(40)])
    monkeypatch.setattr(type(space), "enumerate_with_hashes", lambda self: (cells, md5.astype(np.uint8)))
    for row in (0, 39):
        cell = space.architecture(cells, row)
        assert space.read(space.write(cell, "hash")) == cell
    with pytest.raises(InvalidArchitectureError, match=r"hash 0{32}"):
        space.read("0" * 32)


def test_configurations_of_once_for_all():
    space = MobileNetV3()
    stages = [[(3, 3), (5, 4)], [(7, 6)] * 3, [(5, 3)] * 4, [(3, 6)] * 2, [(7, 4)] * 3]
    network = space.from_stages(stages)
    configuration = space.write(network, "once_for_all")
    assert configuration == {
        "ks": [3, 5, 3, 3, 7, 7, 7, 3, 5, 5, 5, 5, 3, 3, 3, 3, 7, 7, 7, 3],
        "e": [3, 4, 3, 3, 6, 6, 6, 3, 3, 3, 3, 3, 6, 6, 3, 3, 4, 4, 4, 3],
        "d": [2, 3, 4, 2, 3],
        "r": [224],
    }
    # Blocks beyond the depth are not read, whatever stands there; a number counts for every block.
    others = configuration | {"ks": [*configuration["ks"][:2], 0, 7, *configuration["ks"][4:]], "r": [160], "wid": None}
    assert space.read(others) == network
    assert space.read("{'ks': 7, 'e': 6, 'd': 4}") == space.from_stages([[(7, 6)] * 4] * 5)


@pytest.mark.parametrize(
    ("space", "value", "reason"),
    [
        (NASBench201(), "|none~0|", "not of the form"),
        (NASBench201(), "resnet50", r"'resnet50' is no nasbench201 architecture, expected nats_bench \(text"),
        (NASBench201(), (0, 1, 2, 3, 4, 5), "NASLib's operation 5, expected 0 to 4"),
        (NASBench201(), (0, 1, 2), r"\(0, 1, 2\) is no nasbench201 architecture"),
        (NASBench201(), 15625, "cell 15625, expected 0 to 15624"),
        (NASBench201(), -1, "cell -1"),
        (NASBench201(), True, "True is no"),
        (NASBench201(), "", "'' is no"),
        (NASBench201(), None, "None is no"),
        (NATSSize(), "8:16:24", "not of the form"),
        (NATSSize(), "8:16:24:32:41", "channels_41"),
        (NATSSize(), 32768, "architecture 32768"),
        (NASBench101(), {"matrix": [[0, 1], [0]], "ops": ["input", "output"]}, "of 2 operations"),
        (NASBench101(), {"matrix": [[0, 1], [0, 0]], "ops": ["input", "conv", "output"]}, "of 3 operations"),
        (NASBench101(), {"matrix": [], "ops": []}, "2 operations"),
        (NASBench101(), {"matrix": [[0, 1, 0], [0, 0, 1], [0, 0, 0]], "ops": ["", "conv5x5", ""]}, "'conv5x5'"),
        (NASBench101(), (0, 1, 0, 0, 0, 9), "NASLib's operation 9"),
        (NASBench101(), (0, 2, 0, 0, 0, 1), "other than 0 and 1"),
        (NASBench301(), DARTS._replace(normal_concat=[3, 4, 5]), r"normal_concat is \[3, 4, 5\]"),
        (NASBench301(), DARTS._replace(reduce=DARTS.reduce * 2), "expected 8 pairs"),
        (NASBench301(), DARTS._replace(normal=[("skip_connect",)] * 8), "expected a pair"),
        (NASBench301(), DARTS._replace(normal=[("sep_conv_7x7", 0), *DARTS.normal[1:]]), "sep_conv_7x7"),
        (NASBench301(), DARTS._replace(normal=[("none", 1), *DARTS.normal[1:]]), "'none'"),
        (NASBench301(), [[[0, 7], [1, 0]] * 4] * 2, "NASLib's operation 7"),
        (NASBench301(), [[[5, 0], [1, 0]] * 4] * 2, "reads state 5"),
        (MobileNetV3(), {"ks": 7, "e": 6, "d": 1}, "depth 1 in d"),
        (MobileNetV3(), {"ks": [7, 7], "e": 6, "d": 4}, "expected a number or 20 numbers"),
        (MobileNetV3(), {"ks": 9, "e": 6, "d": 4}, "kernel_9"),
        (Darts(), "c_k-2,c_k-1,c_k | 0>7", "edge 0>7"),
    ],
)
def test_mistakes_are_told_in_one_line(space, value, reason):
    with pytest.raises(InvalidArchitectureError, match=reason) as caught:
        space.read(value)
    assert "\n" not in str(caught.value)


def test_unknown_encodings_are_named():
    space = NASBench201()
    with pytest.raises(ConfigurationError, match="no encoding 'genotype', expected one of nats_bench, naslib"):
        space.read("0", "genotype")
    with pytest.raises(ConfigurationError, match="no encoding 'genotype'"):
        space.write(space.read(0), "genotype")
    with pytest.raises(InvalidArchitectureError, match=r"0 is no nasbench201 architecture, expected naslib \("):
        space.read(0, "naslib")


def test_every_encoding_is_documented():
    page = (ROOT / "docs" / "how_to" / "encodings.md").read_text()
    rows = re.findall(r"^\| (?:`(\w+)`|every space) \| `(\w+)` \|", page, re.MULTILINE)
    expected = [(name, encoding) for name in SPACES for encoding in get_space(name).encodings if encoding != "graph"]
    assert sorted(rows) == sorted([*expected, ("", "graph")])
    assert all(list(get_space(name).encodings)[-1] == "graph" for name in SPACES)


def test_an_architecture_is_read_as_it_is():
    space = NASBench201()
    cell = space.read(5)
    assert space.read(cell) is cell
    with pytest.raises(InvalidArchitectureError):
        space.read(Architecture(("input", "output"), [[0, 1], [0, 0]]))


def test_names_with_commas_have_no_graph_text(space):
    odd = types.SimpleNamespace(operations=("in", "conv(3,3)"), edges=[(0, 1)])
    with pytest.raises(InvalidArchitectureError, match=r"'conv\(3,3\)'"):
        space.encodings["graph"].write(space, odd)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('false')",
        "Genotype(normal=open('x'))",
        "range(10**9)",
        "range(1000000000)",
        "x = y = lambda: 0",
        "[" * 100_000,
        "(" * 300,
        "1" * 5000,
        "{**{}}",
        "a: b",
        "import os",
        "-'x'",
        "range()",
        "{[]: 1}",
        "\0",
    ],
)
def test_texts_are_never_run(text):
    assert candidates(text) == [text]


@given(text=st.text())
@EXAMPLES
def test_any_text_is_an_architecture_or_a_mistake(text):
    for space in (NASBench201(), NASBench301(), MobileNetV3()):
        with contextlib.suppress(InvalidArchitectureError):
            space.read(text)
