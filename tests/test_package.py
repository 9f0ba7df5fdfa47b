"""Rules of the house that a program can check."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]


def test_spaces_do_not_import_tensorflow():
    program = "import sys, tfnas.spaces; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


def test_import_after_tensorflow_says_what_to_do():
    program = "import os; os.environ.pop('TF_USE_LEGACY_KERAS', None); import tensorflow; import tfnas"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode != 0
    assert "import tfnas before tensorflow" in done.stderr
