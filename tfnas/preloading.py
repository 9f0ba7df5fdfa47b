"""What a fork server imports: the module that workers need, as `processes.fork_server` names it in the environment.

The fork server ends at once if the process that started it is gone meanwhile.
"""

import importlib
import os
import threading

WANTED = "TFNAS_WORKERS"
"""Variable in the environment: process number of who starts workers, and name of the module that workers need."""
_SECONDS = 0.1


def _end_without(parent: int, done: threading.Event) -> None:
    while not done.wait(_SECONDS):
        if os.getppid() != parent:
            os._exit(1)


if WANTED in os.environ:
    _parent, _module = os.environ.pop(WANTED).split()
    _done = threading.Event()
    _watcher = threading.Thread(target=_end_without, args=(int(_parent), _done))
    _watcher.start()
    try:
        importlib.import_module(_module)
    finally:
        _done.set()
        _watcher.join()  # a process with threads must not fork
