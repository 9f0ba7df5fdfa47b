"""Every package that is imported is declared, and every package that is declared is imported."""

import ast
import re
import sys
import tomllib

from tests.fork import ROOT

# Packages whose name at the registry is not the name of their module.
DISTRIBUTIONS = {
    "absl": "absl-py",
    "faiss": "faiss-cpu",
    "PIL": "pillow",
    "google": "protobuf",
    "sklearn": "scikit-learn",
    "tensorflow_serving": "tensorflow-serving-api",
}
# Imported only if the user has it; never needed, and not to be had for every platform or Python.
OPTIONAL = {
    "diffusers": "in an environment of its own, for PyTorch models",
    "keras-hub": "one source of models for corpora",
    "monai": "in an environment of its own, for PyTorch models",
    "nasbench301": "the official package of a benchmark, for Python 3.8",
    "pytorchcv": "in an environment of its own, for PyTorch models",
    "segmentation-models-pytorch": "in an environment of its own, for PyTorch models",
    "spandrel": "in an environment of its own, for PyTorch models",
    "timm": "in an environment of its own, for PyTorch models",
    "torch": "in an environment of its own, for PyTorch models",
    "torchaudio": "in an environment of its own, for PyTorch models",
    "torchvision": "in an environment of its own, for PyTorch models",
    "transformers": "in an environment of its own, for PyTorch models",
}


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def names(requirements):
    return {re.match(r"[\w-]+", text)[0].lower().replace("_", "-") for text in requirements}


def imported():
    """Names at the registry of what the library and the binaries import, by name or by `import_module`."""
    modules = set()
    for path in [*ROOT.glob("tfnas/**/*.py"), *ROOT.glob("trainers/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules.add(node.module)
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
                modules |= {item.value for item in ast.walk(node) if isinstance(item, ast.Constant)}
    roots = {module.partition(".")[0] for module in modules} - set(sys.stdlib_module_names)
    roots -= {"tfnas", "trainers", "reproductions", "torch_libraries"}
    return {DISTRIBUTIONS.get(root, root.lower().replace("_", "-")) for root in roots}


def declared():
    """Names of the dependencies and of every extra but the tools of developers and of the documents."""
    extras = [extra for name, extra in project()["optional-dependencies"].items() if name not in ("dev", "docs")]
    return names(project()["dependencies"]).union(*map(names, extras))


def test_every_import_is_declared():
    assert imported() - declared() == OPTIONAL.keys()


def test_every_dependency_is_imported():
    assert declared() <= imported()


def test_every_dependency_has_a_pin():
    for name in ("requirements.txt", "requirements-gpu.txt"):
        pinned = names(line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#"))
        assert names(project()["dependencies"]) <= pinned, name


def test_hashes_are_of_the_pins():
    """`make requirements` writes both files; every pin has the hash of a file."""
    files = ("requirements.txt", "requirements-hashes.txt")
    pins, hashed = ((ROOT / name).read_text().splitlines()[1:] for name in files)
    assert pins == [line.removesuffix(" \\") for line in hashed if not line.startswith(" ")]
    text = "\n".join(hashed).replace(" \\\n    ", " ")
    assert all(re.search(r" --hash=sha256:[0-9a-f]{64}", line) for line in text.splitlines())
