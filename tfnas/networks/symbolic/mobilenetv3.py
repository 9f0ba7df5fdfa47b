"""Networks of the once-for-all MobileNetV3 space as computation graphs."""

import functools

from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.networks.mobilenetv3 import MobileNetV3Skeleton, blocks
from tfnas.networks.symbolic.templates import ONE, Assembly, Sketch, Template, Value
from tfnas.spaces import Architecture


def mobilenetv3(
    architecture: Architecture, skeleton: MobileNetV3Skeleton | None, image_size: int, predictor_layout: bool
) -> ComputationGraph:
    """The network of kernel sizes, expansion ratios and depths; the predictor's layout is the same.

    Raises:
      InvalidArchitectureError: not an architecture of the space.
    """
    skeleton = skeleton or MobileNetV3Skeleton()
    listed = blocks(skeleton, architecture)
    assembly = Assembly()
    size = -(-image_size // 2)
    values = {"size": image_size, "half": size, "channels": 3, "width": skeleton.stem}
    (node,) = assembly.stamp(_stem(), (), values)
    for block in listed:
        template = _block(
            block.middle != block.inputs, block.kernel, block.hard_swish, block.excitation > 0, block.residual
        )
        after = -(-size // block.strides)
        values = {"size": size, "after": after, "inputs": block.inputs, "middle": block.middle}
        values |= {"outputs": block.outputs, "excitation": block.excitation}
        (node,) = assembly.stamp(template, (node,), values)
        size = after
    first, second = skeleton.head
    values = {"size": size, "channels": listed[-1].outputs, "first": first, "second": second}
    assembly.stamp(_head(), (node,), {**values, "classes": skeleton.num_classes})
    return assembly.graph()


def _hard_swish(sketch: Sketch, value: Value) -> Value:
    return sketch.node("mul", value, sketch.node("relu6", value))


@functools.cache
def _stem() -> Template:
    sketch = Sketch()
    return sketch.template(_hard_swish(sketch, sketch.norm(sketch.conv(sketch.image(), "width", 3, "half"))))


@functools.cache
def _block(expands: bool, kernel: int, hard_swish: bool, excites: bool, residual: bool) -> Template:
    sketch = Sketch()

    def activation(value: Value) -> Value:
        return _hard_swish(sketch, value) if hard_swish else sketch.node("relu", value)

    inputs = value = sketch.port("size", "inputs")
    if expands:
        value = activation(sketch.norm(sketch.conv(value, "middle", 1)))
    value = activation(sketch.norm(sketch.depthwise(value, kernel, "after")))
    if excites:
        gate = sketch.conv(sketch.node("mean", value, size=ONE), "excitation", 1, bias=True)
        gate = sketch.conv(sketch.node("relu", gate), "middle", 1, bias=True)
        value = sketch.node("mul", value, sketch.node("relu6", gate))
    value = sketch.norm(sketch.conv(value, "outputs", 1))
    return sketch.template(sketch.node("add", value, inputs) if residual else value)


@functools.cache
def _head() -> Template:
    sketch = Sketch()
    value = sketch.norm(sketch.conv(sketch.port("size", "channels"), "first", 1))
    value = sketch.node("mean", _hard_swish(sketch, value), size=ONE)
    value = _hard_swish(sketch, sketch.conv(value, "second", 1))
    value = sketch.node("matmul", value, channels="classes", bias=True)
    return sketch.template(sketch.node("output", value))
