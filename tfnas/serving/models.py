"""The models of a server: each with its versions, of which the newest is served, and reloaded when a newer appears."""

import logging
import pathlib
import threading
from collections.abc import Mapping

from tfnas import artefacts
from tfnas.errors import ConfigurationError, TfnasError
from tfnas.serving.batching import Batcher
from tfnas.serving.limits import Limits
from tfnas.serving.metrics import BATCH_ROWS
from tfnas.serving.servable import Query, Servable
from tfnas.serving.signatures import Arrays, Signature

_log = logging.getLogger("uvicorn.error")


class Version:
    """A loaded model whose signatures batch the rows of requests.

    Args:
      name: name of the model.
      folder: folder of the SavedModel.
      limits: bounds on requests.
      merge: whether rows of several requests are computed together.
      trust: whether the model may do more than compute; see `saved_models.load_module`.

    Attributes:
      servable: model.

    Raises:
      CorruptArtefactError: a file is missing, damaged, or not a SavedModel.
      UntrustedModelError: see `saved_models.load_module`.
    """

    def __init__(self, name: str, folder: pathlib.Path, limits: Limits, merge: bool, trust: bool):
        self.servable = Servable(folder, limits, trust=trust)
        self.servable.warm_up()
        self._name = name
        self._limits = limits
        self._merge = merge
        self._batchers: dict[Signature, Batcher] = {}
        self._lock = threading.Lock()

    async def outputs(self, query: Query) -> list[Arrays]:
        """Outputs of a request that the servable read, in batches."""
        signature = query.signature
        with self._lock:
            if signature not in self._batchers:
                observe = BATCH_ROWS.labels(self._name, signature.name).observe
                self._batchers[signature] = Batcher(signature, self._limits.batch_rows, self._merge, observe)
            batcher = self._batchers[signature]
        return await batcher(query)

    def close(self) -> None:
        """Ends the threads as soon as the requests are answered that wait already."""
        with self._lock:
            for batcher in self._batchers.values():
                batcher.close()


class Model:
    """A model under a name, in one version or in the versions of numbered folders.

    Args:
      name: name in addresses.
      folder: folder of a SavedModel, which is version 1; or a folder of folders with numbers for names, each of a
        SavedModel, of which the largest number is served.
      limits: bounds on requests.
      merge: whether rows of several requests are computed together.
      trust: whether the model may do more than compute; see `saved_models.load_module`.

    Attributes:
      name: name in addresses.
      version: number of the version that is served.
      current: version that is served.
      failures: reasons by the numbers of versions that can't be loaded.

    Raises:
      ConfigurationError: no version in the folder.
      CorruptArtefactError: a file of the newest version is missing, damaged, or not a SavedModel.
      UntrustedModelError: see `saved_models.load_module`.
    """

    def __init__(self, name: str, folder: artefacts.PathLike, limits: Limits, merge: bool = True, trust: bool = False):
        self.name = name
        self.failures: dict[int, str] = {}
        self._folder = pathlib.Path(folder)
        self._limits = limits
        self._merge = merge
        self._trust = trust
        folders = self._folders()
        if not folders:
            raise ConfigurationError(f"{folder}: neither a SavedModel of tfnas nor folders with numbers for names")
        self.version = max(folders)
        self.current = Version(name, folders[self.version], limits, merge, trust)

    def reload(self) -> None:
        """Serves the newest version that can be loaded, if that is newer than the version that is served."""
        folders = self._folders()
        for number in sorted((number for number in folders if number > self.version), reverse=True):
            if number in self.failures:
                continue
            try:
                version = Version(self.name, folders[number], self._limits, self._merge, self._trust)
            except TfnasError as error:
                self.failures[number] = str(error)
                _log.error("model %s, version %d can't be loaded: %s", self.name, number, error)
                continue
            previous, self.current, self.version = self.current, version, number
            # Requests that were read for the previous version are still to be computed.
            closing = threading.Timer(self._limits.read_seconds + self._limits.predict_seconds, previous.close)
            closing.daemon = True
            closing.start()
            _log.info("model %s: version %d is served", self.name, number)
            return

    def _folders(self) -> Mapping[int, pathlib.Path]:
        """Folders by version, of those that are complete."""
        if (self._folder / artefacts.MANIFEST_NAME).is_file():
            return {1: self._folder}
        if not self._folder.is_dir():
            return {}
        return {
            int(path.name): path
            for path in self._folder.iterdir()
            if path.name.isdecimal() and (path / artefacts.MANIFEST_NAME).is_file()
        }
