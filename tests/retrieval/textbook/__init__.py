"""Forty networks as readers of papers write them in Keras: queries to the shipped index.

Each builder follows the figure or table of its paper, at the sizes of the paper or smaller. `QUERIES` names, for every
network, the families of the index that are right answers, words in names of right architectures, and whether an index
without such a family answers rightly that nothing is like the network.
"""

import dataclasses
from collections.abc import Callable, Sequence

import keras

from tests.retrieval.textbook import convolutions, depthwise, patches, residual, tokens
from tfnas.reports import tables
from tfnas.retrieval.relatives import Retriever


@dataclasses.dataclass(frozen=True)
class Query:
    """A network and its right answers.

    Attributes:
      build: function that builds the network.
      families: families that are right.
      words: parts of names of architectures that are right, whatever their family.
      unknown: True if an index without these families answers rightly that nothing is like the network.
    """

    build: Callable[[], keras.Model]
    families: tuple[str, ...]
    words: tuple[str, ...] = ()
    unknown: bool = False

    def right(self, name: str, family: str) -> bool:
        """Whether an architecture is a right answer."""
        return family in self.families or any(word in name for word in self.words)


RESNETS = ("resnet", "resnet_rs", "senet", "bit")
SECOND_RESNETS = ("resnetv2", "resnet_v2")
VITS = ("vision_transformer", "deit", "vit", "vit_msn", "vit_mae", "dinov2", "ijepa", "clip_vision_model")
DECODERS = ("gpt2", "gpt_neo", "opt", "biogpt", "xglm", "gpt_bigcode", "gpt-sw3", "gpt_neox", "gptneox", "openai-gpt")
TEXT = (
    *(
        "bert",
        "roberta",
        "distilbert",
        "electra",
        "xlm-roberta",
        "camembert",
        "data2vec-text",
        "ernie",
        "albert",
        "mpnet",
    ),
    *("bert-generation", "megatron-bert", "splinter", "layoutlm", "dpr", "roc_bert", "tapas", "lilt", "visual_bert"),
)
LLAMAS = (
    *("llama", "mistral", "ministral3", "qwen2", "gemma", "phi3", "olmo", "granite", "smollm3", "internlm3", "arcee"),
    *("cwm", "seed_oss", "helium", "youtu", "exaone4", "ernie4_5", "apertus", "jais2", "mellum"),
)
TRANSLATORS = ("bart", "mbart", "marian", "plbart", "mvp", "m2m_100", "pegasus", "blenderbot", "blenderbot-small")
INCEPTIONS = ("googlenet", "inception", "inception_v1", "inception_v3", "inception_v4")

QUERIES: dict[str, Query] = {
    "ResNet-20": Query(lambda: residual.resnet_cifar(20), RESNETS),
    "ResNet-56": Query(lambda: residual.resnet_cifar(56), RESNETS),
    "ResNet-18": Query(residual.resnet18, RESNETS),
    "ResNet-50": Query(lambda: residual.resnet_bottlenecks((3, 4, 6, 3), 32), RESNETS),
    "pre-activation ResNet-32": Query(lambda: residual.preactivation_resnet(5, 1), SECOND_RESNETS),
    "WRN-16-4": Query(lambda: residual.preactivation_resnet(2, 4, 0.3), SECOND_RESNETS, ("wide_resnet", "wrn")),
    "ResNeXt-29": Query(residual.resnext29, RESNETS, ("resnext",)),
    "SE-ResNet-26": Query(lambda: residual.resnet_bottlenecks((2, 2, 2, 2), 32, squeeze=True), RESNETS, ("seresnet",)),
    "VGG-16": Query(
        lambda: convolutions.vgg(((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3), False),
        ("vgg16", "vgg19", "vgg"),
    ),
    "VGG-11 with batch normalisation": Query(
        lambda: convolutions.vgg(((64,), (128,), (256,) * 2, (512,) * 2, (512,) * 2), True, shape=residual.CIFAR),
        ("vgg",),
    ),
    "AlexNet": Query(convolutions.alexnet, ("alexnet", "vgg", "vgg16", "vgg19"), unknown=True),
    "SqueezeNet": Query(convolutions.squeezenet, ("squeezenet",), unknown=True),
    "GoogLeNet": Query(convolutions.googlenet, INCEPTIONS, unknown=True),
    "Inception-v3": Query(convolutions.inception_v3, INCEPTIONS),
    "DenseNet-BC": Query(convolutions.densenet_bc, ("densenet",)),
    "RepVGG": Query(convolutions.repvgg, (), ("repvgg", "mobileone")),
    "RegNetX": Query(convolutions.regnet_x, ("regnet",)),
    "MobileNet": Query(depthwise.mobilenet_v1, ("mobilenet", "mobilenet_v1"), ("mobilenetv1",)),
    "MobileNetV2": Query(depthwise.mobilenet_v2, ("mobilenet_v2",), ("mobilenetv2",)),
    "MobileNetV3": Query(depthwise.mobilenet_v3_small, ("mobilenet_v3", "mobilenetv3")),
    "EfficientNet-B0": Query(depthwise.efficientnet_b0, ("efficientnet",)),
    "EfficientNetV2-S": Query(depthwise.efficientnet_v2, ("efficientnet_v2",), ("efficientnetv2",)),
    "Xception": Query(depthwise.xception, ("xception", "xception_aligned")),
    "GhostNet": Query(depthwise.ghostnet, ("ghostnet",)),
    "MLP-Mixer": Query(patches.mlp_mixer, ("mlp_mixer",)),
    "gMLP": Query(patches.gmlp, ("mlp_mixer",)),
    "ConvMixer": Query(patches.convmixer, ("convmixer",)),
    "ConvNeXt-T": Query(patches.convnext_tiny, ("convnext", "dinov3_convnext", "convnextv2")),
    "PoolFormer-S12": Query(patches.poolformer, ("metaformer", "poolformer")),
    "ViT-Ti/16": Query(patches.vit_tiny, VITS),
    "Swin-T": Query(
        patches.swin_tiny, ("swin_transformer", "swin", "swin_transformer_v2", "donut-swin", "maskformer-swin")
    ),
    "U-Net": Query(patches.unet, ("unet",), ("unet",), unknown=True),
    "GPT": Query(tokens.gpt, DECODERS),
    "BERT": Query(tokens.bert, TEXT),
    "LLaMA": Query(tokens.llama, LLAMAS),
    "T5": Query(tokens.t5, ("t5", "mt5", "umt5")),
    "Transformer": Query(tokens.transformer, TRANSLATORS),
    "LSTM": Query(tokens.lstm, ("lstm",), ("lstm",), unknown=True),
    "TCN": Query(tokens.tcn, ("tcn",), ("tcn",), unknown=True),
    "WaveNet": Query(tokens.wavenet, ("wavenet",), ("wavenet",), unknown=True),
}
"""Forty networks by name."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The first answer to a network.

    Attributes:
      query: name of the network.
      first: name of the architecture that comes first.
      family: family of that architecture.
      similarity: similarity to the network.
      covered: share of the network's operators that the architecture shares.
      rank: rank of the first right answer among thirty structures, 0 if there is none.
      unlike: whether the answer says that nothing is like the network.
      right: whether the first answer is right, or nothing is like a network whose family the index may lack.
    """

    query: str
    first: str
    family: str
    similarity: float
    covered: float
    rank: int
    unlike: bool
    right: bool


def measured(retriever: Retriever) -> list[Outcome]:
    """The first answers of an index to all networks."""
    outcomes = []
    for name, query in QUERIES.items():
        keras.utils.clear_session()
        answer = retriever.relatives(query.build(), 30)
        first = answer[0]
        ranks = [rank for rank, found in enumerate(answer, start=1) if query.right(found.name, found.family)]
        right = ranks[:1] == [1] or (query.unknown and answer.unlike)
        outcomes.append(
            Outcome(
                name,
                first.name,
                first.family,
                first.similarity,
                first.covered,
                ranks[0] if ranks else 0,
                answer.unlike,
                right,
            )
        )
    return outcomes


def table(outcomes: Sequence[Outcome]) -> str:
    """First answers as Markdown, and how many are right."""
    rows = [
        [
            outcome.query,
            outcome.first,
            outcome.family,
            f"{100 * outcome.similarity:.0f} %{', nothing is like it' * outcome.unlike}",
            f"{100 * outcome.covered:.0f} %",
            "yes" if outcome.right else "no",
            f"{outcome.rank or 'none'}",
        ]
        for outcome in outcomes
    ]
    right = sum(outcome.right for outcome in outcomes)
    unshared = sum(outcome.covered < 0.2 and not outcome.unlike for outcome in outcomes)
    columns = ["query", "first answer", "family", "similarity", "shared", "right", "rank of a right answer"]
    words = f"{right} of {len(rows)} first answers are right, {unshared} share less than 20 % of the operators"
    return f"{tables.markdown(columns, rows)}\n\n{words}"
