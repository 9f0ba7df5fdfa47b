"""Configurations of Keras Hub backbones, in the sizes that their papers or model cards publish."""

from typing import Any


def _encoder(vocabulary_size: int, num_layers: int, **extra: Any) -> dict[str, Any]:
    """Layers of 768 units with 12 heads, as in BERT base and its relatives."""
    sizes = {"vocabulary_size": vocabulary_size, "num_layers": num_layers, "num_heads": 12}
    return {**sizes, "hidden_dim": 768, "intermediate_dim": 3072, "max_sequence_length": 512, **extra}


CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "AlbertBackbone": _encoder(30000, 12, embedding_dim=128, num_groups=1, num_inner_repetitions=1),
    "BertBackbone": _encoder(30522, 12),
    "RobertaBackbone": _encoder(50265, 12),
    "DistilBertBackbone": _encoder(30522, 6),
    "DebertaV3Backbone": _encoder(128100, 12, bucket_size=256),
    "BartBackbone": _encoder(50265, 6, max_sequence_length=1024),
    "GPT2Backbone": _encoder(50257, 12, max_sequence_length=1024),
    "OPTBackbone": _encoder(50272, 12, max_sequence_length=2048),
    "GPTNeoXBackbone": {
        "vocabulary_size": 50432,
        "num_layers": 6,
        "num_heads": 8,
        "hidden_dim": 512,
        "intermediate_dim": 2048,
    },
    "T5Backbone": {
        "vocabulary_size": 32128,
        "num_layers": 6,
        "num_heads": 8,
        "hidden_dim": 512,
        "intermediate_dim": 2048,
        "key_value_dim": 64,
    },
    "LlamaBackbone": {
        "vocabulary_size": 32000,
        "num_layers": 22,
        "num_query_heads": 32,
        "num_key_value_heads": 4,
        "hidden_dim": 2048,
        "intermediate_dim": 5632,
        "tie_word_embeddings": True,
    },
    "ViTBackbone": {
        "image_shape": (224, 224, 3),
        "patch_size": 16,
        "num_layers": 12,
        "num_heads": 12,
        "hidden_dim": 768,
        "mlp_dim": 3072,
    },
    "ResNetBackbone": {
        "input_conv_filters": [64],
        "input_conv_kernel_sizes": [7],
        "stackwise_num_filters": [64, 128, 256, 512],
        "stackwise_num_blocks": [3, 4, 6, 3],
        "stackwise_num_strides": [1, 2, 2, 2],
        "block_type": "bottleneck_block",
        "image_shape": (224, 224, 3),
    },
}
