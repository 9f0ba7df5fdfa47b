"""Python source code that builds a network with plain Keras 3, from the network's rows.

Blocks of equal name and structure become one function. A setting that differs between these blocks becomes an argument
of the function; settings that always change together share an argument.
"""

import dataclasses
import inspect
import itertools
import textwrap
from collections.abc import Hashable, Iterator, Mapping, Sequence

from tfnas.networks.functional import MERGING, Block, Call, Row, snake_case

_HEAD = '''"""{title}

  model = build()                      # fresh weights
  model.load_weights("model.keras")    # the trained weights

The file needs Keras 3 and nothing else. The model maps images, float32 [B, {shape}], to logits [B, {classes}].
"""

import pathlib

import keras
from keras import layers
'''

_TAIL = '''

def build():
    """The model with fresh weights."""
    images = keras.Input({shape}, name="images")
{body}
    return keras.Model(images, {output}, name="{name}")


if __name__ == "__main__":
    model = build()
    model.load_weights(pathlib.Path(__file__).with_name("model.keras"))
    model.summary()
'''


_WIDTH = 110


@dataclasses.dataclass(frozen=True)
class _Function:
    """The function of the blocks of one structure.

    Attributes:
      name: name of the function.
      parameters: names of the arguments that follow the inputs.
      values: source code of the arguments for every block, by `id` of the block.
    """

    name: str
    parameters: Sequence[str]
    values: Mapping[int, Sequence[str]]


_Functions = dict[Hashable, _Function]


def python_source(block: Block, image_shape: Sequence[int], classes: int, title: str) -> str:
    """The source code of a file that builds a network.

    Args:
      block: rows of the network; see `functional.block_of`.
      image_shape: height, width and channels.
      classes: width of the classifier.
      title: first line of the file's docstring.
    """
    groups: dict[Hashable, list[Block]] = {}
    for inner in _inner_blocks(block):
        groups.setdefault(_structure(inner), []).append(inner)
    functions: _Functions = {}
    text = _HEAD.format(title=textwrap.fill(title, _WIDTH), shape=", ".join(map(str, image_shape)), classes=classes)
    for structure, blocks in groups.items():
        function, expressions = _function(blocks, functions)
        inputs = ["x"] if blocks[0].inputs == 1 else [f"x{1 + number}" for number in range(blocks[0].inputs)]
        body, output = _body(blocks[0], inputs, expressions, functions)
        arguments = ", ".join([*inputs, *function.parameters])
        text += f"\n\ndef {function.name}({arguments}):\n{body}\n    return {output}\n"
        functions[structure] = function
    body, output = _body(block, ["images"], _function([block], functions)[1], functions)
    return text + _TAIL.format(shape=tuple(image_shape), body=body, output=output, name=snake_case(block.name))


def _inner_blocks(block: Block) -> Iterator[Block]:
    """All blocks within a block, inner blocks before the blocks that call them."""
    for row in block.rows:
        if isinstance(row, Call):
            yield from _inner_blocks(row.block)
            yield row.block


def _structure(block: Block) -> Hashable:
    """What blocks of one function have in common: everything but the values of the settings."""
    rows = [
        (_structure(row.block) if isinstance(row, Call) else (row.kind, *row.settings), row.inputs)
        for row in block.rows
    ]
    return block.name, block.inputs, block.output, tuple(rows)


def _arguments(row: Row | Call, functions: _Functions) -> list[tuple[str, str]]:
    """Names and source code of the arguments of a row, without its inputs."""
    if isinstance(row, Call):
        function = functions[_structure(row.block)]
        return list(zip(function.parameters, function.values[id(row.block)], strict=True))
    return [(name, repr(value).replace("'", '"')) for name, value in row.settings.items()]


def _function(blocks: Sequence[Block], functions: _Functions) -> tuple[_Function, list[str]]:
    """The function of blocks of one structure, and the source code of each argument of each row in the function."""
    listed = [[argument for row in block.rows for argument in _arguments(row, functions)] for block in blocks]
    parameters: dict[tuple[str, ...], str] = {}
    expressions = []
    for column in zip(*listed, strict=True):
        name, values = column[0][0], tuple(value for _, value in column)
        if len(set(values)) > 1 and values not in parameters:
            parameters[values] = _free(name, parameters.values())
        expressions.append(parameters.get(values, values[0]))
    values_of = {id(block): [values[number] for values in parameters] for number, block in enumerate(blocks)}
    name = _free(blocks[0].name, [function.name for function in functions.values()])
    return _Function(name, list(parameters.values()), values_of), expressions


def _free(stem: str, taken: Sequence[str]) -> str:
    """A name that is not taken: the stem itself, or the stem with a number."""
    names = itertools.chain([stem], (f"{stem}_{number}" for number in itertools.count(2)))
    return next(name for name in names if name not in taken)


def _body(block: Block, inputs: Sequence[str], expressions: Sequence[str], functions: _Functions) -> tuple[str, str]:
    """The lines of a block's function, and the variable that holds its output."""
    last_use = {value: number for number, row in enumerate(block.rows) for value in row.inputs}
    last_use[block.output] = len(block.rows)
    variables, remaining = list(inputs), iter(expressions)
    lines = []
    for number, row in enumerate(block.rows):
        arguments = [(name, next(remaining)) for name, _ in _arguments(row, functions)]
        sources = [variables[value] for value in row.inputs]
        # A value that no later row takes gives its variable to the output.
        free = [variables[value] for value in row.inputs if last_use[value] == number and variables[value] != "images"]
        used = {variables[value] for value in range(len(variables)) if last_use.get(value, -1) > number}
        variable = free[0] if free else _free("x", used | {"images"})
        variables.append(variable)
        lines.append(f"{variable} = {_expression(row, sources, arguments, functions)}")
    return textwrap.indent("\n".join(_with_loops(lines)), "    "), variables[block.output]


def _expression(
    row: Row | Call, sources: Sequence[str], arguments: Sequence[tuple[str, str]], functions: _Functions
) -> str:
    if isinstance(row, Call):
        name = functions[_structure(row.block)].name
        return f"{name}({', '.join([*sources, *(value for _, value in arguments)])})"
    import keras

    signature = inspect.signature(getattr(keras.layers, row.kind).__init__).parameters
    positional = [name for name, parameter in signature.items() if parameter.default is inspect.Parameter.empty]
    texts = [value for name, value in arguments if name in positional]
    texts += [f"{name}={value}" for name, value in arguments if name not in positional]
    value = f"[{', '.join(sources)}]" if row.kind in MERGING else sources[0]
    one_line = f"layers.{row.kind}({', '.join(texts)})({value})"
    if len(one_line) < _WIDTH:
        return one_line
    listed = "".join(f"    {text},\n" for text in texts)
    return f"layers.{row.kind}(\n{listed})({value})"


def _with_loops(lines: Sequence[str]) -> Iterator[str]:
    """The lines, with a loop where a line repeats more than once."""
    for line, repeated in itertools.groupby(lines):
        copies = list(repeated)
        yield from copies if len(copies) < 3 else [f"for _ in range({len(copies)}):\n    {line}"]
