"""Exported programs of PyTorch, written by hand: weights, tied weights, symbols, calls, damaged files, and hints."""

import json
import random
import zipfile

import pytest

from tfnas.errors import ConfigurationError, CorruptArtefactError, InvalidArchitectureError, TfnasError
from tfnas.graphs import importers
from tfnas.graphs.importers.hints import HINTS
from tfnas.graphs.importers.torch_programs import from_torch_program
from tfnas.graphs.importers.torch_symbols import evaluate, symbol

FLOAT, LONG = 7, 5
BATCH, LENGTH = "Symbol('s0', positive=True, integer=True)", "Symbol('s1', positive=True, integer=True)"
STORED = {"sizes": [], "strides": [], "storage_offset": {"as_int": 0}, "device": {"type": "cpu"}}


def tensor(name):
    return {"as_tensor": {"name": name}}


def expression(text, value):
    return {"as_expr": {"expr_str": text, "hint": {"as_int": value}}}


def values(**shapes):
    """Descriptions of tensors; an extent is a number or an expression."""
    return {
        name: {
            "dtype": LONG if name == "ids" else FLOAT,
            "sizes": [{"as_int": extent} if isinstance(extent, int) else extent for extent in shape],
        }
        for name, shape in shapes.items()
    }


def node(target, arguments, outputs, module="", **keywords):
    named = [{"name": "", "arg": argument, "kind": 1} for argument in arguments]
    return {
        "target": target if "." in target else f"torch.ops.aten.{target}.default",
        "inputs": [*named, *({"name": name, "arg": arg, "kind": 2} for name, arg in keywords.items())],
        "outputs": [tensor(name) if isinstance(name, str) else name for name in outputs],
        "metadata": {"nn_module_stack": f"L__self__,,Net;L__self__{module},{module},Module"},
    }


def program(held, inputs, nodes, outputs, tensors, **numbers):
    specs = [{"parameter": {"arg": {"name": name}, "parameter_name": parameter}} for name, parameter in held.items()]
    specs += [{"user_input": {"arg": tensor(name)}} for name in inputs]
    graph = {"nodes": nodes, "tensor_values": tensors, "sym_int_values": numbers}
    signature = {"input_specs": specs, "output_specs": [{"user_output": {"arg": tensor(name)}} for name in outputs]}
    return {"graph_module": {"graph": graph, "signature": signature}}


def convolutional():
    nodes = [
        node("conv2d", [tensor("x"), tensor("w"), tensor("b"), {"as_ints": [2, 2]}], ["conv"], "stem.conv"),
        node("relu_", [tensor("conv")], ["relu"]),
        node("torch.ops.aten.flatten.using_ints", [tensor("relu"), {"as_int": 1}], ["flat"]),
        node("linear", [tensor("flat"), tensor("v")], ["logits"], "head"),
    ]
    shapes = {"w": (6, 3, 3, 3), "b": (6,), "v": (10, 96), "x": (1, 3, 8, 8), "conv": (1, 6, 4, 4)}
    tensors = values(**shapes, relu=(1, 6, 4, 4), flat=(1, 96), logits=(1, 10))
    return program({"w": "stem.weight", "b": "stem.bias", "v": "head.weight"}, ["x"], nodes, ["logits"], tensors)


def saved(path, description, ties=None, entry="net/models/model.json"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(entry, description if isinstance(description, (str, bytes)) else json.dumps(description))
        if ties is not None:
            config = {name: {"path_name": file, "tensor_meta": STORED} for name, file in ties.items()}
            archive.writestr("net/data/weights/model_weights_config.json", json.dumps({"config": config}))
    return path


@pytest.mark.parametrize("entry", ["net/models/model.json", "serialized_exported_program.json"])
def test_a_convolutional_network(tmp_path, entry):
    graph = importers.from_file(saved(tmp_path / "net.pt2", convolutional(), entry=entry))
    assert graph.operator_names == ["input", "conv", "relu", "matmul", "output"]
    assert graph.parameters.tolist() == [0, 3 * 3 * 3 * 6 + 6, 0, 960, 0]
    assert graph.multiply_adds.tolist() == [0, 4 * 4 * 27 * 6, 0, 960, 0]
    assert graph.shapes[1].tolist() == [8, 4, 8, 4, 3, 6]
    assert (graph.layers[1], graph.layers[3]) == ("stem.conv", "head")
    assert (graph.name, graph.source, graph.notes) == ("net", "torch", ())


def language_model():
    """Tied embedding and classifier, two outputs of a split, a call without gradients, and open batch and length."""
    batch, length, flat = expression(BATCH, 2), expression(LENGTH, 10), expression(f"Mul({BATCH}, {LENGTH})", 20)
    state = (batch, length, 8)
    body = {
        "inputs": [tensor("inner")],
        "outputs": [tensor("scaled")],
        "nodes": [node("torch.ops.aten.mul.Tensor", [tensor("inner"), {"as_int": 2}], ["scaled"])],
        "tensor_values": values(inner=state, scaled=state),
        "sym_int_values": {},
    }
    call = node(
        "torch.ops.higher_order.wrap_with_set_grad_enabled",
        [{"as_bool": False}, {"as_graph": {"name": "body", "graph": body}}, tensor("tokens")],
        ["called"],
    )
    nodes = [
        node("torch.ops.aten.sym_size.int", [tensor("ids"), {"as_int": 0}], [{"as_sym_int": {"as_name": "n"}}]),
        node("embedding", [tensor("e"), tensor("ids")], ["tokens"]),
        call,
        node("torch.ops.aten.chunk.int", [tensor("called"), {"as_int": 2}, {"as_int": -1}], [["first", "second"]]),
        node("torch.ops.aten.mul.Tensor", [tensor("first"), tensor("second")], ["gated"]),
        node("view", [tensor("called"), {"as_sym_ints": [{"as_name": "n"}, {"as_int": 8}]}], ["rows"]),
        node("linear", [tensor("rows"), tensor("c")], ["logits"]),
    ]
    nodes[3]["outputs"] = [{"as_tensors": [{"name": "first"}, {"name": "second"}]}]
    half = (batch, length, 4)
    tensors = values(
        **{"e": (100, 8), "c": (100, 8), "ids": (batch, length), "tokens": state, "called": state, "rows": (flat, 8)},
        **{"first": half, "second": half, "gated": half, "logits": (flat, 100)},
    )
    held = {"e": "embedding.weight", "c": "head.weight"}
    return program(held, ["ids"], nodes, ["logits", "gated"], tensors, n=flat)


def test_symbols_ties_calls_and_several_outputs(tmp_path):
    ties = {"embedding.weight": "weight_0", "head.weight": "weight_0"}
    path = saved(tmp_path / "text.pt2", language_model(), ties)
    graph = importers.from_file(path, input_shape=(3, 16))
    assert graph.operator_names == ["input", "embedding", "mul", "matmul", "output", "output"]
    assert graph.total_parameters == 800
    assert graph.multiply_adds.sum() == 16 * 8 * 100
    assert graph.notes == ()
    example = importers.from_file(path)
    assert example.multiply_adds.sum() == 10 * 8 * 100
    assert example.notes == ("open shapes of inputs were assumed: ids [2, 10]",)
    untied = importers.from_file(saved(tmp_path / "untied.pt2", language_model()))
    assert untied.total_parameters == 1600
    with pytest.raises(InvalidArchitectureError, match="input 'ids' has 2 dimensions, not 3"):
        importers.from_file(path, input_shape=(1, 16, 1))


def test_expressions_are_evaluated_without_running_code():
    assert symbol(BATCH) == "s0"
    assert symbol("Integer(3)") is None
    # 1 + (7 - 1) // 2 * 3, and the remainder of 7 by 4.
    text = f"Add(Mul(FloorDiv(Add({BATCH}, Integer(-1)), Integer(2)), Integer(3)), Integer(1))"
    assert evaluate(text, {"s0": 7}) == 10
    assert evaluate(f"Max(Mod({BATCH}, Integer(4)), Integer(2))", {"s0": 7}) == 3
    hostile = ("__import__('os').getcwd()", "Pow(Integer(9), Integer(999999999))", "Mod(Integer(1), Integer(0))")
    for wrong in (*hostile, BATCH, "f(", "Mul(" * 3000, "Symbol", "Add(x, Integer(1))"):
        assert evaluate(wrong, {}) is None


def test_damaged_files_are_refused_in_one_line(tmp_path):
    path = tmp_path / "damaged.pt2"
    path.write_bytes(b"x" * 100)
    with pytest.raises(CorruptArtefactError, match=r"damaged\.pt2: not a \.pt2 file"):
        from_torch_program(path)
    with pytest.raises(CorruptArtefactError, match="no such file"):
        from_torch_program(tmp_path / "none.pt2")
    for content, message in (
        ("[" * 100_000, "not a .pt2 file"),
        ("[1]", "not a program as torch.export writes it"),
        (b" " * (33 * 2**20), "larger than 33554432 bytes"),
    ):
        with pytest.raises(CorruptArtefactError, match=message):
            from_torch_program(saved(path, content))
    with pytest.raises(CorruptArtefactError, match=r"a compiled program, expected a file of torch\.export\.save"):
        from_torch_program(saved(path, "{}", entry="net/data/aotinductor/model.so"))
    for extents, message in (({96: 2**31, 10: 2**31}, "numbers"), ({4: 2**18, 3: 2**12}, "counts more than")):
        large = json.dumps(convolutional())
        for extent, wide in extents.items():
            large = large.replace(f'{{"as_int": {extent}}}', f'{{"as_int": {wide}}}')
        with pytest.raises(TfnasError, match=message):
            from_torch_program(saved(path, large))


def test_random_damage_never_ends_in_a_traceback(tmp_path):
    text, generator, refused = json.dumps(language_model()), random.Random(0), 0
    leaves = ["null", "-1", "[]", "{}", '"x"', "true", "99999999999", "0"]
    spots = [at for at in range(len(text)) if text[at].isdigit()]
    for _ in range(150):
        at = generator.choice(spots)
        changed = text[:at] + generator.choice(leaves) + text[at + 1 :]
        if generator.random() < 0.5:
            name = generator.choice(["ids", "tokens", "called", "rows", "embedding", "linear", "chunk", "as_tensor"])
            changed = changed.replace(f'"{name}"', '"other"', 1)
        try:
            from_torch_program(saved(tmp_path / "net.pt2", changed))
        except TfnasError:
            refused += 1
    assert refused > 50


def test_files_without_an_architecture_get_advice(tmp_path):
    for ending, advice in HINTS.items():
        path = tmp_path / f"model{ending}"
        path.write_bytes(b"\x80\x04cos\nsystem\n")
        with pytest.raises(ConfigurationError) as refusal:
            importers.from_file(path)
        assert str(refusal.value) == f"{path}: {advice}"
