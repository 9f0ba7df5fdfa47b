"""torchaudio: encoders of speech, separation of sources, recognition and synthesis of speech."""

from collections.abc import Callable
from typing import Any

from torch_libraries.library import Library, on_meta

_SAMPLES = 16000
_FRAMES, _MELS = 64, 80


def _wave(torch: Any) -> tuple[Any, ...]:
    return (torch.empty(1, _SAMPLES),)


def _mono(torch: Any) -> tuple[Any, ...]:
    return (torch.empty(1, 1, _SAMPLES),)


def _stereo(torch: Any) -> tuple[Any, ...]:
    return (torch.empty(1, 2, 3 * _SAMPLES),)


def _frames(torch: Any) -> tuple[Any, ...]:
    return torch.empty(1, _FRAMES, _MELS), torch.full((1,), _FRAMES)


def _emformer_frames(torch: Any) -> tuple[Any, ...]:
    return torch.empty(1, _FRAMES + 4, _MELS), torch.full((1,), _FRAMES)


_CONFORMER = {"input_dim": _MELS, "depthwise_conv_kernel_size": 31}
_EMFORMER = {"input_dim": _MELS, "num_heads": 8, "ffn_dim": 2048, "segment_length": 16, "right_context_length": 4}
_STEMS = ["drums", "bass", "other", "vocals"]

_Row = tuple[str, str, dict[str, Any], Callable[[Any], tuple[Any, ...]]]
_MODELS: dict[str, _Row] = {
    **{
        name: (name.partition("_")[0], name, {}, _wave)
        for name in (
            *("wav2vec2_base", "wav2vec2_large", "wav2vec2_large_lv60k", "wav2vec2_xlsr_300m", "wav2vec2_xlsr_1b"),
            *("hubert_base", "hubert_large", "hubert_xlarge", "wavlm_base", "wavlm_large"),
        )
    },
    "conformer_s": ("conformer", "Conformer", {**_CONFORMER, "num_heads": 4, "ffn_dim": 128, "num_layers": 4}, _frames),
    "conformer_m": (
        "conformer",
        "Conformer",
        {**_CONFORMER, "num_heads": 4, "ffn_dim": 1024, "num_layers": 16},
        _frames,
    ),
    "emformer_12": ("emformer", "Emformer", {**_EMFORMER, "num_layers": 12}, _emformer_frames),
    "emformer_20": ("emformer", "Emformer", {**_EMFORMER, "num_layers": 20}, _emformer_frames),
    "conv_tasnet_base": ("conv_tasnet", "conv_tasnet_base", {}, _mono),
    "conv_tasnet_small": ("conv_tasnet", "ConvTasNet", {"msk_num_layers": 4, "msk_num_stacks": 2}, _mono),
    "deepspeech": (
        "deepspeech",
        "DeepSpeech",
        {"n_feature": _MELS},
        lambda torch: (torch.empty(1, 1, _FRAMES, _MELS),),
    ),
    "wav2letter_waveform": ("wav2letter", "Wav2Letter", {}, _mono),
    "wav2letter_mfcc": (
        "wav2letter",
        "Wav2Letter",
        {"input_type": "mfcc", "num_features": _MELS},
        lambda torch: (torch.empty(1, _MELS, 4 * _FRAMES),),
    ),
    "wavernn": (
        "wavernn",
        "WaveRNN",
        {"upsample_scales": [5, 5, 8], "n_classes": 512, "hop_length": 200},
        lambda torch: (torch.empty(1, 1, 200 * 12), torch.empty(1, 1, 128, 16)),
    ),
    "hdemucs_low": ("hdemucs", "hdemucs_low", {"sources": _STEMS}, _stereo),
    "hdemucs_medium": ("hdemucs", "hdemucs_medium", {"sources": _STEMS}, _stereo),
    "hdemucs_high": ("hdemucs", "hdemucs_high", {"sources": _STEMS}, _stereo),
    "squim_objective_base": ("squim_objective", "squim_objective_base", {}, _wave),
}
"""Family, constructor, arguments and inputs of each model."""


def _build(name: str) -> tuple[Any, tuple[Any, ...]]:
    import torch
    import torchaudio

    _, constructor, arguments, inputs = _MODELS[name]
    # A sequence that is as long as its batch needs no mask; the length is a number that the meta device does not know.
    torchaudio.models.conformer._lengths_to_padding_mask = lambda lengths: None
    model = on_meta(lambda: getattr(torchaudio.models, constructor)(**arguments))
    with torch.device("meta"):
        return model, inputs(torch)


TORCHAUDIO = Library(lambda: {name: row[0] for name, row in _MODELS.items()}, _build)
