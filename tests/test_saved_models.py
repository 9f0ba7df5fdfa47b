"""Names of shipped models and folders of models."""

import pathlib
import re

import pytest

from tests.fork import ROOT
from tfnas import saved_models
from tfnas.errors import ConfigurationError


def test_a_name_is_a_shipped_model_and_a_path_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "cg_encoder").mkdir()
    assert saved_models.folder("cg_encoder") == ROOT / "saved_models" / "cg_encoder"
    assert saved_models.folder("./cg_encoder").samefile(tmp_path / "cg_encoder")
    assert saved_models.folder("~/cg_encoder") == tmp_path / "cg_encoder"
    assert saved_models.folder(pathlib.Path(tmp_path)) == tmp_path


@pytest.mark.parametrize("name", ["cg_encodr", "/nothing", "~/nothing", ""])
def test_what_is_neither_ends_in_one_line_that_lists_the_shipped_models(name):
    names = sorted(path.name for path in (ROOT / "saved_models").iterdir())
    message = f"{name!r}: neither an existing folder nor the name of a shipped model ({', '.join(names)})"
    with pytest.raises(ConfigurationError, match=f"^{re.escape(message)}$"):
        saved_models.folder(name)
