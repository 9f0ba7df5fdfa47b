"""The libraries of PyTorch models, with packages that stand for those that only the worker's environment has."""

import sys
import types

import pytest

from tests.fork import ROOT
from tfnas.corpora.sources import SOURCES

sys.path.insert(0, str(ROOT / "tfnas" / "graphs" / "importers"))
from torch_libraries import LIBRARIES

del sys.path[0]


def constructor(module, name="model"):
    made = types.FunctionType((lambda: None).__code__, {}, name)
    made.__module__ = module
    return made


def package(monkeypatch, name, **content):
    """A package of that name, and the modules around it, for one test."""
    parent = None
    for end in range(1, len(parts := name.split(".")) + 1):
        module = types.ModuleType(".".join(parts[:end]))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        if parent is not None:
            setattr(parent, parts[end - 1], module)
        parent = module
    vars(parent).update(content)
    return parent


def test_each_library_is_a_source_with_a_licence():
    assert set(LIBRARIES) == set(SOURCES) - {"keras", "tf_keras", "keras_hub"}
    assert {source.licence for source in SOURCES.values()} == {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MIT"}


@pytest.mark.parametrize("name", ["segmentation_models_pytorch", "diffusers", "torchaudio", "monai", "spandrel"])
def test_lists_that_need_no_package(name):
    families = LIBRARIES[name].families()
    assert len(families) > 20
    assert all(family == family.lower() and " " not in family for family in families.values())


def test_decoders_and_encoders():
    families = LIBRARIES["segmentation_models_pytorch"].families()
    assert families["unet-resnet34"] == "unet"
    assert families["deeplabv3plus-timm-regnetx_002"] == "deeplabv3plus"
    assert families["fpn-mit_b0"] == "fpn"
    assert "pan-mit_b0" not in families  # no dilated strides
    assert {family for name, family in families.items() if "-tu-vit_tiny" in name} == {"dpt"}


def test_images_and_volumes():
    families = LIBRARIES["monai"].families()
    assert (families["unet_2d"], families["unet_3d"]) == ("unet", "unet")
    assert "flexible_unet-resnet18_2d" in families
    assert "flexible_unet-resnet18_3d" not in families


def test_families_are_modules_without_data_sets(monkeypatch):
    models = {
        "resnet20_cifar10": constructor("pytorchcv.models.resnet_cifar"),
        "resnet20_cifar100": constructor("pytorchcv.models.resnet_cifar"),
        "bn_vgg16": constructor("pytorchcv.models.vgg"),
        "seresnet50": constructor("pytorchcv.models.seresnet"),
    }
    package(monkeypatch, "pytorchcv.model_provider", _models=models)
    assert LIBRARIES["pytorchcv"].families() == {"resnet20_cifar10": "resnet", "bn_vgg16": "vgg", "seresnet50": "senet"}


def test_torchvision_without_quantisation(monkeypatch):
    modules = {
        "fasterrcnn": "torchvision.models.detection.faster_rcnn",
        "mobilenet_v2": "torchvision.models.mobilenetv2",
        "quantized_mobilenet_v2": "torchvision.models.quantization.mobilenetv2",
        "r3d_18": "torchvision.models.video.resnet",
        "resnet18": "torchvision.models.resnet",
    }
    builders = {name: constructor(module) for name, module in modules.items()}
    package(
        monkeypatch, "torchvision.models", list_models=lambda: list(builders), get_model_builder=builders.__getitem__
    )
    assert LIBRARIES["torchvision"].families() == {
        "fasterrcnn": "faster_rcnn",
        "mobilenet_v2": "mobilenet_v2",
        "r3d_18": "video_resnet",
        "resnet18": "resnet",
    }


def test_models_of_timm_and_of_transformers(monkeypatch):
    entry = constructor("timm.models.vision_transformer")
    package(
        monkeypatch, "timm", list_models=lambda: ["vit"], models=types.SimpleNamespace(model_entrypoint=lambda _: entry)
    )
    assert LIBRARIES["timm"].families() == {"vit": "vision_transformer"}
    package(
        monkeypatch,
        "transformers.models.auto.configuration_auto",
        CONFIG_MAPPING_NAMES={"bert": "BertConfig", "tokens": "TokensConfig"},
    )
    modelling = types.ModuleType("transformers.models.auto.modeling_auto")
    modelling.MODEL_MAPPING_NAMES = {"bert": "BertModel"}
    monkeypatch.setitem(sys.modules, modelling.__name__, modelling)
    assert LIBRARIES["transformers"].families() == {"bert": "bert"}
