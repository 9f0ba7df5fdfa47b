"""transformers: the base model of every model type, in its default configuration."""

import inspect
from typing import Any

from torch_libraries.library import Library

_WORDS = 64
_SAMPLES = 16000
_FRAMES = 128
_REGIONS = 36


def _families() -> dict[str, str]:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    return {name: name for name in CONFIG_MAPPING_NAMES if name in MODEL_MAPPING_NAMES}


def _build(name: str) -> tuple[Any, dict[str, Any]]:
    import torch
    from transformers import CONFIG_MAPPING, AutoModel

    with torch.device("meta"):
        config = CONFIG_MAPPING[name]()
        config.use_cache = False
        model = AutoModel.from_config(config)
        return model, _inputs(model, config)


def _inputs(model: Any, config: Any) -> dict[str, Any]:
    """What the model's signature asks for: a text, an image or a clip, a sound, or both of a pair of encoders."""
    import torch

    names = inspect.signature(model.forward).parameters
    words = torch.zeros(1, _WORDS, dtype=torch.long)
    text = {"input_ids": words} | ({"decoder_input_ids": words} if config.is_encoder_decoder else {})
    if "bbox" in names:
        text["bbox"] = torch.zeros(1, _WORDS, 4, dtype=torch.long)
    if "visual_feats" in names:
        text["visual_feats"] = torch.empty(1, _REGIONS, config.visual_feat_dim)
        text["visual_pos"] = torch.empty(1, _REGIONS, config.visual_pos_dim)
    if model.main_input_name in ("pixel_values", "pixel_values_videos"):
        return {model.main_input_name: _pixels(config)}
    if model.main_input_name == "past_values":
        return {"past_values": torch.empty(1, config.context_length, config.num_input_channels)}
    decoder = {"decoder_input_ids": words} if "decoder_input_ids" in names else {}
    if model.main_input_name == "input_features":
        return {"input_features": _features(config)} | decoder
    if model.main_input_name == "input_values":
        return {"input_values": _sound(config)} | decoder
    if model.main_input_name == "audio_values":
        return {"audio_values": _sound(config)}
    if hasattr(model, "text_model") and hasattr(model, "vision_model"):
        text["pixel_values"] = _pixels(config)
    if hasattr(model, "text_model") and hasattr(model, "audio_model"):
        audio = config.audio_config
        text["input_features"] = torch.empty(1, 1, 1024, audio.num_mel_bins)
    return text


def _pixels(config: Any) -> Any:
    """An image, or a clip for models of videos."""
    import torch

    vision = getattr(config, "vision_config", config)
    size = next(
        (value for value in (getattr(vision, name, None) for name in ("image_size", "crop_size")) if value), 224
    )
    size = size if isinstance(size, int) else max(size)
    image = (getattr(vision, "num_channels", 3), size, size)
    frames = getattr(vision, "num_frames", None) or getattr(vision, "frames_per_clip", None)
    return torch.empty(1, frames, *image) if frames else torch.empty(1, *image)


def _sound(config: Any) -> Any:
    """Samples, or a spectrogram where the model takes one."""
    import torch

    if hasattr(config, "num_mel_bins") and hasattr(config, "max_length") and hasattr(config, "frequency_stride"):
        return torch.empty(1, config.max_length, config.num_mel_bins)
    is_codec = hasattr(config, "codebook_size")
    return torch.empty(1, 1, _SAMPLES) if is_codec else torch.empty(1, _SAMPLES)


def _features(config: Any) -> Any:
    """Features of the frames of a sound."""
    import torch

    audio = getattr(config, "audio_config", getattr(config, "encoder_config", config))
    if hasattr(audio, "max_source_positions") and hasattr(audio, "num_mel_bins"):
        return torch.empty(1, audio.num_mel_bins, 2 * audio.max_source_positions)
    for name in ("input_feat_per_channel", "feature_projection_input_dim", "num_mel_bins", "input_dim"):
        if hasattr(audio, name):
            return torch.empty(1, _FRAMES, getattr(audio, name))
    return torch.empty(1, _FRAMES, 80)


TRANSFORMERS = Library(_families, _build)
