"""Runs programs in forks of a process that has imported TensorFlow and nothing of tfnas."""

import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile

_SERVER = """
import json, os, sys, traceback
import numpy, tensorflow

for line in sys.stdin:
    request = json.loads(line)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.chdir(request["folder"])
            for number, name in ((1, "output"), (2, "errors")):
                os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT), number)
            sys.argv = ["-c", *request["arguments"]]
            exec(compile(request["program"], "program", "exec"), {"__name__": "__main__"})
            code = 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@functools.cache
def _server() -> subprocess.Popen:
    """The process that forks; it ends with this process."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "TF_USE_LEGACY_KERAS")
    }
    return subprocess.Popen(
        [sys.executable, "-c", _SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=tempfile.gettempdir(),
    )


def run(program: str, *arguments: str, folder: pathlib.Path) -> str:
    """What a program prints in a process where TensorFlow and NumPy alone are imported.

    Args:
      program: source code, which reads its arguments from `sys.argv[1:]`.
      *arguments: arguments.
      folder: working folder of the process.
    """
    server = _server()
    with tempfile.TemporaryDirectory() as scratch:
        files = {name: f"{scratch}/{name}" for name in ("output", "errors")}
        request = {"program": program, "arguments": arguments, "folder": str(folder), **files}
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        output, errors = (pathlib.Path(path).read_text() for path in files.values())
    assert code == 0, errors
    return output
