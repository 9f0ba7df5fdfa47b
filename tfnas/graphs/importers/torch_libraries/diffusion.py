"""diffusers: networks that remove noise, and autoencoders, in their default or published configurations."""

import dataclasses
from typing import Any

from torch_libraries.library import Library, on_meta


@dataclasses.dataclass(frozen=True)
class _Model:
    """Family, class, shapes of inputs, and arguments that differ from the defaults of the class."""

    family: str
    constructor: str
    shapes: dict[str, Any]
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)


_INTEGERS = {"class_labels", "input_ids", "num_frames", "height", "width"}
"""Inputs that are whole numbers."""
_STEP = {"timestep": (1,)}


def _latent(channels: int, words: int = 77, width: int = 768, extent: int = 32) -> dict[str, Any]:
    """Inputs of a network that removes noise from a latent image beside a text."""
    return {
        "sample": (1, channels, extent, extent),
        **_STEP,
        "encoder_hidden_states": (1, words, width),
    }


def _tokens(channels: int, words: int, width: int) -> dict[str, Any]:
    """Inputs of a transformer that takes patches of an image beside a text."""
    return {"hidden_states": (1, 64, channels), **_STEP, "encoder_hidden_states": (1, words, width)}


def _image(channels: int, words: int, width: int) -> dict[str, Any]:
    return {"hidden_states": (1, channels, 32, 32), **_STEP, "encoder_hidden_states": (1, words, width)}


def _video(channels: int, words: int, width: int, frames: int = 4) -> dict[str, Any]:
    return {"hidden_states": (1, channels, frames, 32, 32), **_STEP, "encoder_hidden_states": (1, words, width)}


_SD_BLOCKS = {"block_out_channels": (320, 640, 1280, 1280), "layers_per_block": 2}
_VAE = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
}
_IDS = {"img_ids": (64, 3), "txt_ids": (77, 3)}
_SIZES = {"original_size": (1, 2), "target_size": (1, 2), "crop_coords": (1, 2)}
_PIXELS, _CLIP, _SOUND = {"sample": (1, 3, 64, 64)}, {"sample": (1, 3, 9, 64, 64)}, {"sample": (1, 2, 8192)}

_MODELS: dict[str, _Model] = {
    "unet2d": _Model("unet2d", "UNet2DModel", {"sample": (1, 3, 64, 64), **_STEP}),
    "unet2d_ddpm_cifar10": _Model(
        "unet2d",
        "UNet2DModel",
        {"sample": (1, 3, 32, 32), **_STEP},
        {
            "block_out_channels": (128, 256, 256, 256),
            "layers_per_block": 2,
            "down_block_types": ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
            "up_block_types": ("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
            "downsample_padding": 0,
        },
    ),
    "unet2d_ddpm_256": _Model(
        "unet2d",
        "UNet2DModel",
        {"sample": (1, 3, 256, 256), **_STEP},
        {
            "block_out_channels": (128, 128, 256, 256, 512, 512),
            "down_block_types": (*["DownBlock2D"] * 4, "AttnDownBlock2D", "DownBlock2D"),
            "up_block_types": ("UpBlock2D", "AttnUpBlock2D", *["UpBlock2D"] * 4),
        },
    ),
    "unet2d_ncsnpp": _Model(
        "unet2d",
        "UNet2DModel",
        {"sample": (1, 3, 256, 256), **_STEP},
        {
            "time_embedding_type": "fourier",
            "block_out_channels": (128, 128, 256, 256, 256, 256, 256),
            "down_block_types": (*["SkipDownBlock2D"] * 4, "AttnSkipDownBlock2D", *["SkipDownBlock2D"] * 2),
            "up_block_types": (*["SkipUpBlock2D"] * 2, "AttnSkipUpBlock2D", *["SkipUpBlock2D"] * 4),
        },
    ),
    "unet2d_condition_sd1": _Model(
        "unet2d_condition", "UNet2DConditionModel", _latent(4), {**_SD_BLOCKS, "cross_attention_dim": 768}
    ),
    "unet2d_condition_sd2": _Model(
        "unet2d_condition",
        "UNet2DConditionModel",
        _latent(4, width=1024),
        {
            **_SD_BLOCKS,
            "cross_attention_dim": 1024,
            "attention_head_dim": (5, 10, 20, 20),
            "use_linear_projection": True,
        },
    ),
    "unet2d_condition_sdxl": _Model(
        "unet2d_condition",
        "UNet2DConditionModel",
        {**_latent(4, width=2048), "added_cond_kwargs": {"text_embeds": (1, 1280), "time_ids": (1, 6)}},
        {
            "block_out_channels": (320, 640, 1280),
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            "transformer_layers_per_block": (1, 2, 10),
            "attention_head_dim": (5, 10, 20),
            "cross_attention_dim": 2048,
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        },
    ),
    "unet2d_condition_tiny_sd": _Model(
        "unet2d_condition",
        "UNet2DConditionModel",
        _latent(4),
        {
            "block_out_channels": (320, 640, 1280),
            "layers_per_block": 1,
            "down_block_types": ("CrossAttnDownBlock2D",) * 3,
            "up_block_types": ("CrossAttnUpBlock2D",) * 3,
            "mid_block_type": None,
            "cross_attention_dim": 768,
        },
    ),
    "unet2d_condition_simple_cross": _Model(
        "unet2d_condition",
        "UNet2DConditionModel",
        _latent(4, width=768),
        {
            "block_out_channels": (320, 640, 960, 1280),
            "layers_per_block": 3,
            "down_block_types": ("ResnetDownsampleBlock2D", *["SimpleCrossAttnDownBlock2D"] * 3),
            "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
            "up_block_types": (*["SimpleCrossAttnUpBlock2D"] * 3, "ResnetUpsampleBlock2D"),
            "cross_attention_dim": 768,
            "attention_head_dim": 64,
            "resnet_time_scale_shift": "scale_shift",
        },
    ),
    "unet3d_condition": _Model(
        "unet3d_condition",
        "UNet3DConditionModel",
        {"sample": (1, 4, 4, 32, 32), **_STEP, "encoder_hidden_states": (1, 77, 1024)},
    ),
    "unet_kandinsky3": _Model(
        "unet_kandinsky3",
        "Kandinsky3UNet",
        {**_latent(4, 128, 4096), "encoder_attention_mask": (1, 128)},
    ),
    "unet_stable_cascade": _Model(
        "unet_stable_cascade",
        "StableCascadeUNet",
        {"sample": (1, 16, 24, 24), "timestep_ratio": (1,), "clip_text_pooled": (1, 1, 1280)},
        {
            "in_channels": 16,
            "out_channels": 16,
            "conditioning_dim": 2048,
            "block_out_channels": (2048, 2048),
            "num_attention_heads": (32, 32),
            "down_num_layers_per_block": (8, 24),
            "up_num_layers_per_block": (24, 8),
            "down_blocks_repeat_mappers": (1, 1),
            "up_blocks_repeat_mappers": (1, 1),
            "block_types_per_layer": (("SDCascadeResBlock", "SDCascadeTimestepBlock", "SDCascadeAttnBlock"),) * 2,
            "clip_text_in_channels": 1280,
            "clip_text_pooled_in_channels": 1280,
            "clip_image_in_channels": 768,
            "switch_level": (False,),
        },
    ),
    "controlnet": _Model(
        "controlnet",
        "ControlNetModel",
        {**_latent(4), "controlnet_cond": (1, 3, 256, 256)},
        {"cross_attention_dim": 768},
    ),
    "dit": _Model("dit", "DiTTransformer2DModel", {"hidden_states": (1, 4, 32, 32), **_STEP, "class_labels": (1,)}),
    "pixart": _Model("pixart", "PixArtTransformer2DModel", _image(4, 77, 1152), {"use_additional_conditions": False}),
    "pixart_alpha": _Model(
        "pixart",
        "PixArtTransformer2DModel",
        _image(4, 77, 4096),
        {"use_additional_conditions": False, "caption_channels": 4096, "cross_attention_dim": 1152},
    ),
    "sd3": _Model(
        "sd3",
        "SD3Transformer2DModel",
        {**_image(16, 77, 4096), "pooled_projections": (1, 2048)},
    ),
    "sd3_medium": _Model(
        "sd3",
        "SD3Transformer2DModel",
        {**_image(16, 77, 4096), "pooled_projections": (1, 2048)},
        {"num_layers": 24, "num_attention_heads": 24, "caption_projection_dim": 1536, "pos_embed_max_size": 192},
    ),
    "auraflow": _Model("auraflow", "AuraFlowTransformer2DModel", _image(4, 77, 2048)),
    "flux": _Model("flux", "FluxTransformer2DModel", {**_tokens(64, 77, 4096), "pooled_projections": (1, 768), **_IDS}),
    "chroma": _Model("chroma", "ChromaTransformer2DModel", {**_tokens(64, 77, 4096), **_IDS}),
    "bria": _Model("bria", "BriaTransformer2DModel", {**_tokens(64, 77, 4096), **_IDS}),
    "ovis_image": _Model("ovis_image", "OvisImageTransformer2DModel", {**_tokens(64, 77, 2048), **_IDS}),
    "longcat_image": _Model("longcat_image", "LongCatImageTransformer2DModel", {**_tokens(64, 77, 3584), **_IDS}),
    "flux2": _Model(
        "flux2", "Flux2Transformer2DModel", {**_tokens(128, 77, 15360), "img_ids": (64, 4), "txt_ids": (77, 4)}
    ),
    "sana": _Model("sana", "SanaTransformer2DModel", _image(32, 77, 2304)),
    "sana_video": _Model("sana_video", "SanaVideoTransformer3DModel", _video(16, 77, 2304)),
    "prx": _Model("prx", "PRXTransformer2DModel", _image(16, 77, 2304)),
    "cogview3plus": _Model("cogview3plus", "CogView3PlusTransformer2DModel", {**_image(16, 77, 4096), **_SIZES}),
    "cogview4": _Model("cogview4", "CogView4Transformer2DModel", {**_image(16, 77, 4096), **_SIZES}),
    "prior": _Model(
        "prior",
        "PriorTransformer",
        {"hidden_states": (1, 768), **_STEP, "proj_embedding": (1, 768), "encoder_hidden_states": (1, 77, 768)},
    ),
    "stable_audio": _Model(
        "stable_audio",
        "StableAudioDiTModel",
        {
            "hidden_states": (1, 64, 256),
            **_STEP,
            "encoder_hidden_states": (1, 77, 768),
            "global_hidden_states": (1, 1, 1536),
        },
    ),
    "uvit": _Model(
        "uvit",
        "UVit2DModel",
        {
            "input_ids": (1, 16, 16),
            "encoder_hidden_states": (1, 77, 768),
            "pooled_text_emb": (1, 768),
            "micro_conds": (1, 5),
        },
    ),
    "cogvideox": _Model(
        "cogvideox",
        "CogVideoXTransformer3DModel",
        {"hidden_states": (1, 13, 16, 60, 90), **_STEP, "encoder_hidden_states": (1, 226, 4096)},
    ),
    "hunyuan_video": _Model(
        "hunyuan_video",
        "HunyuanVideoTransformer3DModel",
        {
            **_video(16, 77, 4096),
            "encoder_attention_mask": (1, 77),
            "pooled_projections": (1, 768),
            "guidance": (1,),
        },
    ),
    "cosmos": _Model("cosmos", "CosmosTransformer3DModel", {**_video(16, 77, 1024), "padding_mask": (1, 1, 256, 256)}),
    "allegro": _Model("allegro", "AllegroTransformer3DModel", _video(4, 77, 4096)),
    "autoencoder_kl": _Model("autoencoder_kl", "AutoencoderKL", _PIXELS),
    "autoencoder_kl_sd": _Model("autoencoder_kl", "AutoencoderKL", _PIXELS, _VAE),
    "autoencoder_kl_flux2": _Model("autoencoder_kl", "AutoencoderKLFlux2", _PIXELS),
    "autoencoder_tiny": _Model("autoencoder_tiny", "AutoencoderTiny", _PIXELS),
    "autoencoder_dc": _Model("autoencoder_dc", "AutoencoderDC", _PIXELS),
    "vq_model": _Model("vqvae", "VQModel", _PIXELS),
    "vq_model_4": _Model("vqvae", "VQModel", _PIXELS, _VAE),
    "autoencoder_rae": _Model("autoencoder_rae", "AutoencoderRAE", {"sample": (1, 3, 256, 256)}),
    "autoencoder_oobleck": _Model("autoencoder_oobleck", "AutoencoderOobleck", _SOUND),
    "autoencoder_same": _Model("autoencoder_same", "AutoencoderSAME", _SOUND),
    **{
        f"autoencoder_{name}": _Model(f"autoencoder_{name}", f"Autoencoder{constructor}", _CLIP)
        for name, constructor in {
            "kl_cogvideox": "KLCogVideoX",
            "kl_cosmos": "KLCosmos",
            "kl_hunyuan_video": "KLHunyuanVideo",
            "kl_ltx": "KLLTXVideo",
            "kl_magvit": "KLMagvit",
            "kl_mochi": "KLMochi",
            "kl_qwenimage": "KLQwenImage",
            "kl_wan": "KLWan",
        }.items()
    },
    "autoencoder_kl_kvae": _Model("autoencoder_kl_kvae", "AutoencoderKLKVAE", _PIXELS),
}


def _tensor(name: str, shape: Any) -> Any:
    import torch

    if isinstance(shape, dict):
        return {key: _tensor(key, value) for key, value in shape.items()}
    return torch.zeros(shape, dtype=torch.long if name in _INTEGERS else torch.float32, device="meta")


def _build(name: str) -> tuple[Any, dict[str, Any]]:
    import diffusers

    row = _MODELS[name]
    model = on_meta(lambda: getattr(diffusers, row.constructor)(**row.arguments))
    return model, _tensor(name, row.shapes)


DIFFUSERS = Library(lambda: {name: row.family for name, row in _MODELS.items()}, _build)
