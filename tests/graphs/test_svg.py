"""Drawings as SVG text."""

import re
import xml.etree.ElementTree

import numpy as np

from tests.graphs.test_computation_graph import graph
from tfnas.graphs.drawing import Boxes
from tfnas.graphs.svg import svg
from tfnas.networks import symbolic
from tfnas.reports import layout, palette
from tfnas.spaces import NASBench201

SVG = "{http://www.w3.org/2000/svg}"


def numbers(element, *names):
    return np.array([float(element.get(name)) for name in names])


def test_boxes_lines_and_frames_are_those_of_the_layout():
    cell = NASBench201().from_string("|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|")
    network = symbolic.build(NASBench201(), cell, name="mine")
    boxes, root = Boxes(network), xml.etree.ElementTree.fromstring(svg(network))
    rectangles = [element for element in root.iter(f"{SVG}rect") if element.get("class") == "box"]
    texts = [element.text for element in root.iter(f"{SVG}text")]
    for number, text in enumerate(boxes.texts):
        corner, size = numbers(rectangles[number], "x", "y"), numbers(rectangles[number], "width", "height")
        np.testing.assert_allclose(corner + size / 2, 72 * boxes.layout.centres[number], atol=0.11)
        assert set(text.split("\n")) <= set(texts)
    families = [element.text for element in root.iter(f"{SVG}text") if element.get("class") == "family"]
    assert families == [name for name in palette.FAMILIES if name in boxes.families]
    assert len(rectangles) == len(boxes.texts) + len(families)
    lines = [element for element in root.iter(f"{SVG}path") if element.get("class") == "line"]
    for line, curve in zip(lines, boxes.layout.curves, strict=True):
        *points, end = map(float, re.findall(r"[-\d.]+", line.get("d")))
        np.testing.assert_allclose(np.reshape(points, (-1, 2)), 72 * curve[:-3], atol=0.06)
        # The line runs down into its arrowhead, whose tip is the end of the curve.
        assert points[-1] < end
        np.testing.assert_allclose(end, 72 * (curve[-1, 1] - 0.8 * layout.ARROW_LENGTH), atol=0.06)
    repeats = [element.text for element in root.iter(f"{SVG}text") if element.get("class") == "repeats"]
    assert repeats == [f"{palette.TIMES} {count}" for _, count in boxes.frames]
    assert len(repeats) == 3


def test_everything_lies_on_the_picture():
    network = graph(
        ["input", *["conv"] * 3, "<odd> & long name of an operator", "output"], [(i, i + 1) for i in range(5)]
    )
    root = xml.etree.ElementTree.fromstring(svg(network))
    left, top, width, height = map(float, root.get("viewBox").split())
    for element in root.iter(f"{SVG}rect"):
        corner, size = numbers(element, "x", "y"), numbers(element, "width", "height")
        assert (corner >= (left, top)).all()
        assert (corner + size <= (left + width, top + height)).all()
