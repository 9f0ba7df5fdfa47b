"""Multiply-adds of ONNX files as onnxruntime runs them, for `perf/real_models.py`; needs numpy, onnx and onnxruntime.

Each line of the standard input is a JSON object with a file and the shapes of its inputs. The model runs once, without
optimisation, and the profile tells the shapes of the tensors of every operator that ran, those inside of branches and
loops included. Answers with a JSON line: multiply-adds, numbers of the floating-point initialisers, and operators that
the counting does not know and that hold weights.
"""

import json
import math
import pathlib
import sys
import tempfile
from typing import Any

import numpy as np
import onnx
import onnxruntime

TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
WHOLE_TYPES = {"tensor(int32)": np.int32, "tensor(uint8)": np.uint8, "tensor(bool)": np.bool_}
FLOATING = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE, onnx.TensorProto.BFLOAT16}


def products(kind: str, inputs: list[list[int]], outputs: list[list[int]]) -> int:
    """Multiply-adds of one operator by the shapes of its tensors."""
    if kind in ("Conv", "FusedConv"):
        return math.prod(outputs[0]) * math.prod(inputs[1][1:])
    if kind == "ConvTranspose":
        return math.prod(inputs[0]) * math.prod(inputs[1][1:])
    if kind == "ConvInteger":
        return math.prod(outputs[0]) * math.prod(inputs[1][1:])
    if kind == "Gemm":
        return math.prod(inputs[0]) * outputs[0][1]
    if kind in ("MatMul", "MatMulInteger"):
        return math.prod(outputs[0]) * inputs[0][-1]
    if kind in ("LSTM", "GRU", "RNN", "DynamicQuantizeLSTM"):
        steps, batch, _ = inputs[0]
        return steps * batch * (math.prod(inputs[1]) + math.prod(inputs[2]))
    return 0


def held(graph: Any) -> int:
    """Floating-point numbers of the initialisers of a graph and of the graphs inside of its nodes."""
    total = sum(math.prod(tensor.dims) for tensor in graph.initializer if tensor.data_type in FLOATING)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                total += held(attribute.g)
            if node.op_type == "Constant" and attribute.HasField("t") and attribute.t.data_type in FLOATING:
                size = math.prod(attribute.t.dims)
                total += size if size > 1 else 0
    return total


def profile(path: str, shapes: dict[str, list[int]], folder: str) -> int:
    """Multiply-adds of one run."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.disable_prepacking", "1")  # or the weights have no shapes in the profile
    options.enable_profiling = True
    options.profile_file_prefix = str(pathlib.Path(folder, "profile"))
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    feeds = {}
    for value in session.get_inputs():
        shape = shapes.get(value.name, value.shape)
        if value.type in TYPES:
            feeds[value.name] = rng.random(shape).astype(TYPES[value.type])
        else:
            kind = WHOLE_TYPES.get(value.type, np.int64)
            feeds[value.name] = np.full(shape, 16000 if value.name == "sr" else 1, kind)
    session.run(None, feeds)
    total = 0
    for event in json.loads(pathlib.Path(session.end_profiling()).read_text()):
        arguments = event.get("args", {})
        if event.get("cat") == "Node" and "output_type_shape" in arguments:
            tensors = [
                [next(iter(tensor.values()), []) for tensor in arguments[name]]
                for name in ("input_type_shape", "output_type_shape")
            ]
            total += products(arguments["op_name"], *tensors)
    return total


def main() -> None:
    """Answers line by line."""
    for line in sys.stdin:
        request = json.loads(line)
        with tempfile.TemporaryDirectory() as folder:
            try:
                answer = {"multiply_adds": profile(request["path"], request["shapes"], folder)}
            except Exception as error:
                answer = {"error": str(error).splitlines()[0][:200]}
        answer["parameters"] = held(onnx.load(request["path"]).graph)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
