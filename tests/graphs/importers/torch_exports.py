"""Exports a PyTorch model with random weights by both exporters to ONNX and by torch.export to a .pt2 file.

Runs in an environment of its own (`make corpus-venv`), never inside the tests' process:

  python torch_exports.py MODEL FOLDER

An export that an exporter has no operators for is left out. `test_torch_exports.py` knows the counts of the models.
"""

import pathlib
import sys

import torch
from torch import nn

OPSETS = {"script": (11, 17), "dynamo": (18, 23)}
LENGTH, DECODER_LENGTH = 64, 32


class Call(nn.Module):
    """A model of transformers that takes tensors by position and returns a single tensor.

    Args:
      model: model.
      field: name of the tensor among the outputs.
      names: names of the inputs.
    """

    def __init__(self, model, field, *names):
        super().__init__()
        self.model, self.field, self.names = model, field, names

    def forward(self, *tensors):
        return self.model(**dict(zip(self.names, tensors, strict=True)))[self.field]


class Flattened(nn.Module):
    """A convolution whose output is flattened by its own size."""

    def __init__(self):
        super().__init__()
        self.convolution, self.dense = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8 * 16 * 16, 10)

    def forward(self, images):
        values = torch.max_pool2d(torch.relu(self.convolution(images)), 2)
        return self.dense(values.view(values.size(0), -1))


class Expanded(nn.Module):
    """A learned token that is expanded to the batch and put before the other tokens."""

    def __init__(self):
        super().__init__()
        self.token, self.dense = nn.Parameter(torch.randn(1, 1, 16)), nn.Linear(16, 32)

    def forward(self, tokens):
        return self.dense(torch.cat([self.token.expand(tokens.shape[0], -1, -1), tokens], 1))


class Recurrent(nn.Module):
    """The sequence that a recurrent layer returns."""

    def __init__(self, kind):
        super().__init__()
        self.layer = kind(32, 64, batch_first=True)

    def forward(self, sequence):
        return self.layer(sequence)[0]


def vision(name):
    """A model of timm and an image."""
    import timm

    timm.layers.set_fused_attn(False)
    return timm.create_model(name, pretrained=False), (torch.randn(1, 3, 224, 224),)


def text(name):
    """A model of transformers with its operators spelled out, and its tokens."""
    import transformers as hub

    tokens = torch.ones(1, LENGTH, dtype=torch.int64)
    eager = {"attn_implementation": "eager"}
    if name == "gpt2":
        model = hub.GPT2LMHeadModel(hub.GPT2Config(n_layer=4, use_cache=False, **eager))
        return Call(model, "logits", "input_ids", "attention_mask"), (tokens, tokens)
    if name == "bert":
        model = hub.BertModel(hub.BertConfig(num_hidden_layers=4, **eager), add_pooling_layer=False)
        return Call(model, "last_hidden_state", "input_ids"), (tokens,)
    if name == "t5":
        model = hub.T5ForConditionalGeneration(hub.T5Config(use_cache=False, **eager))
        decoder = torch.ones(1, DECODER_LENGTH, dtype=torch.int64)
        return Call(model, "logits", "input_ids", "decoder_input_ids"), (tokens, decoder)
    sizes = {"hidden_size": 256, "intermediate_size": 688, "vocab_size": 1000, "num_hidden_layers": 3}
    heads = {"num_attention_heads": 8, "num_key_value_heads": 2}
    model = hub.LlamaForCausalLM(hub.LlamaConfig(**sizes, **heads, use_cache=False, **eager))
    return Call(model, "logits", "input_ids", "attention_mask"), (tokens, tokens)


def build(name):
    """A model and its arguments."""
    if name in ("gpt2", "bert", "t5", "llama"):
        return text(name)
    if name in ("lstm", "gru"):
        return Recurrent(nn.LSTM if name == "lstm" else nn.GRU), (torch.randn(1, 20, 32),)
    if name == "flattened":
        return Flattened(), (torch.randn(2, 3, 32, 32),)
    if name == "expanded":
        return Expanded(), (torch.randn(2, 8, 16),)
    return vision(name)


def fill(model):
    """Gives random numbers to all weights and statistics; exporters merge zeros and ones, and leave them out."""
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5)


def main(name, folder):
    """Writes all exports of a model; models of this file leave their batch open."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model, arguments = build(name)
    model.eval()
    fill(model)
    is_open = isinstance(model, (Flattened, Expanded))
    inputs = [f"input_{number}" for number in range(len(arguments))]
    shapes = ({0: torch.export.Dim.DYNAMIC},) if is_open else None
    axes = {"input_0": {0: "batch"}} if is_open else None
    with torch.no_grad():
        for exporter, opsets in OPSETS.items():
            for opset in opsets:
                path = folder / f"{exporter}{opset}.onnx"
                settings = {"input_names": inputs, "opset_version": opset, "dynamo": exporter == "dynamo"}
                if exporter == "dynamo":
                    settings |= {"external_data": False, "dynamic_shapes": shapes}
                else:
                    settings["dynamic_axes"] = axes
                try:
                    torch.onnx.export(model, arguments, str(path), **settings)
                except torch.onnx.errors.UnsupportedOperatorError as error:
                    path.unlink(missing_ok=True)
                    print(f"{path.name}: {error}", file=sys.stderr)
        program = torch.export.export(model, arguments, dynamic_shapes=shapes)
        torch.export.save(program, str(folder / "program.pt2"))


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
