"""PyTorch exports: what the worker answers, given by hand, and a worker that misbehaves."""

import os
import sys

import pytest

from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.graphs.importers import torch_graphs
from tfnas.graphs.importers.simplify import simplify
from tfnas.graphs.importers.torch_graphs import TorchWorker, from_aten


def node(kind, inputs, shape, *arguments, floating=True):
    return {
        **{"name": f"{kind}_{shape}", "kind": kind, "inputs": inputs, "shapes": [shape], "floating": [floating]},
        "arguments": list(arguments),
    }


def test_a_convolutional_network():
    nodes = [
        node("weight", [], [6, 3, 3, 3]),
        node("weight", [], [6]),
        node("weight", [], [], floating=False),
        node("input", [], [1, 3, 8, 8]),
        node("conv2d", [3, 0, 1], [1, 6, 4, 4], "tensor", "tensor", "tensor", [2, 2]),
        node("add_", [2], [], "tensor", 1, floating=False),
        node("hardtanh_", [4], [1, 6, 4, 4], "tensor", 0.0, 6.0),
        node("max_pool2d", [6], [1, 6, 2, 2], "tensor", [3, 3], [2, 2]),
        node("hardswish", [7], [1, 6, 2, 2], "tensor"),
        node("mul", [8], [1, 6, 2, 2], "tensor", 0.5),
        node("adaptive_avg_pool2d", [9], [1, 6, 1, 1], "tensor", [1, 1]),
        node("flatten", [10], [1, 6], "tensor", 1),
    ]
    graph = simplify(from_aten(nodes, [11]))
    assert graph.operator_names == ["input", "conv", "relu6", "max_pool", "relu6", "mul", "mean", "output"]
    assert graph.shapes[1].tolist() == [8, 4, 8, 4, 3, 6]
    assert graph.kernels[[1, 3]].tolist() == [[3, 3], [3, 3]]
    assert (graph.bias[1], graph.parameters[1]) == (1, 168)


def test_attention_is_spelled_out():
    heads = [1, 2, 5, 4]
    nodes = [
        node("weight", [], [24, 8]),
        node("weight", [], [5, 5]),
        node("input", [], [1, 5, 8]),
        node("linear", [2, 0], [1, 5, 24], "tensor", "tensor"),
        node("chunk", [3], [1, 5, 8], "tensor", 3, -1),
        node("getitem", [4], heads),
        node("scaled_dot_product_attention", [5, 5, 5, 1], heads, "tensor", "tensor", "tensor", "tensor"),
    ]
    graph = simplify(from_aten(nodes, [6]))
    assert graph.operator_names == ["input", "matmul", "matmul", "add", "softmax", "matmul", "output"]
    assert graph.parameters.tolist() == [0, 192, 0, 25, 0, 0, 0]
    assert graph.multiply_adds.tolist() == [0, 192 * 5, 5 * 5 * 2 * 4, 0, 0, 5 * 5 * 2 * 4, 0]


def test_products_that_are_added():
    """x + 0.5 a b: a product and a sum; with weights for a factor the product scales."""
    nodes = [node("weight", [], [8]), node("input", [], [1, 5, 8]), node("relu", [1], [1, 5, 8])]
    nodes.append(node("addcmul", [1, 0, 2], [1, 5, 8], "tensor", "tensor", "tensor"))
    graph = simplify(from_aten(nodes, [3]))
    assert graph.operator_names == ["input", "relu", "mul", "add", "output"]
    assert graph.edges.tolist() == [[0, 1], [0, 3], [1, 2], [2, 3], [3, 4]]
    assert graph.parameters.tolist() == [0, 0, 8, 0, 0]


def test_mish_is_spelled_out():
    nodes = [node("input", [], [1, 4]), node("relu", [0], [1, 4]), node("mish", [1], [1, 4])]
    graph = simplify(from_aten(nodes, [2]))
    assert sorted(graph.operator_names) == ["input", "mul", "output", "relu", "softplus", "tanh"]
    assert graph.num_edges == 6


def test_constants_are_no_weights():
    """What a model makes of sizes alone, such as a mask, is no operator; what it makes of a weight is."""
    nodes = [node("input", [], [1, 4]), node("relu", [0], [1, 4]), node("constant", [], [4])]
    nodes += [node("exp", [2], [4]), node("add", [1, 3], [1, 4], "tensor", "tensor")]
    graph = simplify(from_aten(nodes, [4]))
    assert (graph.operator_names, graph.total_parameters) == (["input", "relu", "output"], 0)
    graph = simplify(from_aten([*nodes[:2], node("weight", [], [4]), *nodes[3:]], [4]))
    assert (graph.operator_names, graph.total_parameters) == (["input", "relu", "add", "output"], 4)


def fake_interpreter(folder, code):
    """An executable that ignores the worker and runs `code` for each line that comes in."""
    script = folder / "python"
    script.write_text(f"#!{sys.executable}\nimport sys\nfor line in sys.stdin:\n    {code}\n")
    os.chmod(script, 0o755)
    return str(script)


def test_a_worker_that_dies_hangs_or_refuses(tmp_path, monkeypatch):
    monkeypatch.setattr(torch_graphs, "_LIST_SECONDS", 1.0)
    with pytest.raises(ConfigurationError, match="make corpus-venv"):
        TorchWorker(str(tmp_path / "none"))
    for code, message in (
        ("sys.exit(3)", "the export process ended"),
        ("import time; time.sleep(60)", "no answer within 1 s"),
        ('print(\'{"error": "no such model"}\', flush=True)', "no such model"),
    ):
        worker = TorchWorker(fake_interpreter(tmp_path, code), timeout_seconds=1.0)
        for _ in range(2):  # it is started again
            with pytest.raises(InvalidArchitectureError, match=message):
                worker.graph("timm", "resnet50")
        with pytest.raises(ConfigurationError, match=message):
            worker.list_models("timm")
        worker.close()
        assert worker._process is None
    worker = TorchWorker(fake_interpreter(tmp_path, 'print(\'{"version": "1", "families": {"a": "b"}}\', flush=True)'))
    assert worker.list_models("timm") == ("1", {"a": "b"})
    worker.close()
    assert torch_graphs._WORKER.is_file()


@pytest.mark.slow
def test_real_models():
    """Needs `make corpus-venv`."""
    python = ".venv-corpus/bin/python"
    if not os.path.exists(python):
        pytest.skip("no .venv-corpus")
    worker = TorchWorker(python)
    models = (
        *(("timm", "resnet50"), ("timm", "vit_tiny_patch16_224"), ("transformers", "bert"), ("transformers", "clip")),
        *(("torchvision", "maskrcnn_resnet50_fpn"), ("segmentation_models_pytorch", "fpn-mit_b0")),
        *(("diffusers", "unet2d"), ("torchaudio", "conformer_s"), ("monai", "unet_3d"), ("spandrel", "RRDBNet")),
        ("pytorchcv", "resnet20_cifar10"),
    )
    for library, name in models:
        graph, parameters = worker.graph(library, name)
        assert not graph.unknown
        assert graph.total_parameters == pytest.approx(parameters, rel=0.01)
    version, families = worker.list_models("timm")
    assert version
    assert families["resnet50"] == "resnet"
    worker.close()
