"""Libraries of PyTorch models that `torch_worker` builds on the meta device, by name. Never imported by tfnas.

Each module holds the libraries of a field. Nothing here imports torch or a library before a model is asked for. The
package is imported as `torch_libraries`, from the folder of the worker.
"""

from torch_libraries import (
    audio,
    classifiers,
    diffusion,
    medical,
    restoration,
    segmentation,
    transformer_models,
    vision,
)
from torch_libraries.library import Library

LIBRARIES: dict[str, Library] = {
    "timm": classifiers.TIMM,
    "pytorchcv": classifiers.PYTORCHCV,
    "torchvision": vision.TORCHVISION,
    "segmentation_models_pytorch": segmentation.SEGMENTATION,
    "diffusers": diffusion.DIFFUSERS,
    "transformers": transformer_models.TRANSFORMERS,
    "torchaudio": audio.TORCHAUDIO,
    "monai": medical.MONAI,
    "spandrel": restoration.SPANDREL,
}
"""The libraries by the name of their package."""
