"""An HTTP server in TensorFlow Serving's REST conventions."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any

import prometheus_client
import uvicorn
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from tfnas import artefacts
from tfnas.errors import TfnasError
from tfnas.serving import openapi
from tfnas.serving.bodies import Bodies, BusyError
from tfnas.serving.ending import EndingServer
from tfnas.serving.limits import Limits
from tfnas.serving.models import Model
from tfnas.serving.monitoring import CLIENT_CLOSED_REQUEST, Monitoring, access_log
from tfnas.serving.protocol import bounded
from tfnas.serving.requests import RequestTooLargeError
from tfnas.serving.servable import answer

_log = logging.getLogger("uvicorn.error")
_SMALL_BODY = 1 << 16
"""Bytes of a body that is parsed in less time than a thread takes to be found."""


class _Server:
    """The endpoints of some models.

    Args:
      models: models by name.
      limits: bounds on requests.
      reload_seconds: time between two looks for newer versions; 0 to never look.
    """

    def __init__(self, models: Mapping[str, Model], limits: Limits, reload_seconds: float):
        self._models = models
        self._limits = limits
        self._reload_seconds = reload_seconds
        self._bodies = Bodies(limits)
        self._parsing = asyncio.Semaphore()

    @contextlib.asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Looks for newer versions while the server runs."""
        reloading = asyncio.create_task(self._reload()) if self._reload_seconds else None
        yield
        if reloading is not None:
            reloading.cancel()

    async def _reload(self) -> None:
        while True:
            await asyncio.sleep(self._reload_seconds)
            for model in self._models.values():
                try:
                    await asyncio.to_thread(model.reload)
                except OSError as error:
                    _log.error("model %s can't be looked for: %s", model.name, error)

    def _model(self, name: str, version: str | None = None) -> Model:
        model = self._models.get(name)
        if model is None:
            raise HTTPException(404, f"no model {name!r}, expected one of {', '.join(self._models)}")
        if version not in (None, str(model.version)):
            raise HTTPException(404, f"no version {version!r} of {name}, expected {model.version}")
        return model

    async def healthz(self) -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    async def readyz(self) -> dict[str, Any]:
        """Whether the models are loaded; the versions that are served."""
        return {"status": "ready", "models": {name: str(model.version) for name, model in self._models.items()}}

    async def metrics(self) -> Response:
        """Figures in the format of Prometheus."""
        return Response(prometheus_client.generate_latest(), media_type=prometheus_client.CONTENT_TYPE_LATEST)

    async def status(self, name: str, version: str | None = None) -> dict[str, Any]:
        """Versions of a model, and whether they are served."""
        model = self._model(name, version)
        states = [(model.version, "AVAILABLE", "OK", "")]
        states += [(number, "END", "UNKNOWN", reason) for number, reason in sorted(model.failures.items())]
        return {
            "model_version_status": [
                {"version": str(number), "state": state, "status": {"error_code": code, "error_message": reason}}
                for number, state, code, reason in states
            ]
        }

    async def metadata(self, name: str, version: str | None = None) -> dict[str, Any]:
        """Signatures of a model, and facts that tell how inputs are made."""
        model = self._model(name, version)
        servable = model.current.servable
        return {
            "model_spec": {"name": name, "version": str(model.version)},
            "metadata": {"signature_def": servable.metadata(), "tfnas": servable.facts},
        }

    async def predict(self, request: Request) -> Response:
        """Answers a predict request."""
        model = self._model(request.path_params["name"], request.path_params.get("version"))
        try:
            async with self._bodies.read(request) as content:
                return Response(await self._answer(model, content), media_type="application/json")
        except RequestTooLargeError as error:
            return _refused(413, str(error))
        except BusyError as error:
            return _refused(503, str(error), {"retry-after": "1"})
        except TfnasError as error:
            return _refused(400, str(error))
        except TimeoutError as error:
            late = str(error)
            return _refused(504, late) if late else _refused(408, "the request: did not arrive in time", _CLOSE)
        except ClientDisconnect:
            return Response(status_code=CLIENT_CLOSED_REQUEST)

    async def _answer(self, model: Model, content: bytearray) -> bytes:
        version = model.current
        if len(content) <= _SMALL_BODY:
            query = version.servable.read(content)
        else:
            async with self._parsing:  # large bodies are parsed one after the other, which bounds the memory
                query = await asyncio.to_thread(version.servable.read, content)
        try:
            async with asyncio.timeout(self._limits.predict_seconds):
                pieces = await version.outputs(query)
        except TimeoutError as error:
            raise TimeoutError(f"no answer within {self._limits.predict_seconds:g} seconds") from error
        return answer(query, pieces) if len(pieces) == 1 else await asyncio.to_thread(answer, query, pieces)


_CLOSE = {"connection": "close"}


def _refused(status: int, reason: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": reason}, status, headers)


def application(
    models: Mapping[str, artefacts.PathLike],
    limits: Limits | None = None,
    *,
    batching: bool = True,
    reload_seconds: float = 10.0,
    trust: bool = False,
) -> Any:
    """The ASGI application that serves SavedModels.

    `GET /v1/models/NAME`, `GET /v1/models/NAME/metadata` and `POST /v1/models/NAME:predict`, also with `/versions/N`;
    `GET /healthz`, `/readyz`, `/metrics`, `/docs` and `/openapi.json`. Every refusal is `{"error": ...}`: status 400
    for a wrong request, 404 for an unknown model, 408 for a request that does not arrive in time, 413 for a request
    that is too large, 503 for a server that is busy, 504 for a model that takes too long.

    Args:
      models: folders by names in addresses; each of a SavedModel, or of the numbered versions of a SavedModel.
      limits: bounds on requests.
      batching: whether rows of several requests are computed together.
      reload_seconds: time between two looks for newer versions; 0 to never look.
      trust: True to serve SavedModels that may do more than compute, newer versions included; see
        `saved_models.load_module`.

    Raises:
      ConfigurationError: a folder without version.
      CorruptArtefactError: a file is missing, damaged, or not a SavedModel.
      UntrustedModelError: see `saved_models.load_module`.
    """
    limits = limits or Limits()
    loaded = {name: Model(name, folder, limits, batching, trust) for name, folder in models.items()}
    server = _Server(loaded, limits, reload_seconds)
    app = FastAPI(title="tfnas", lifespan=server.lifespan, redoc_url=None)
    for path in ("healthz", "readyz", "metrics"):
        app.add_api_route(f"/{path}", getattr(server, path))
    # The route of `predict` is Starlette's, since FastAPI would only add to its time.
    for prefix in ("/v1/models/{name}", "/v1/models/{name}/versions/{version}"):
        app.add_route(f"{prefix}:predict", server.predict, ["POST"])
        app.add_api_route(prefix, server.status)
        app.add_api_route(f"{prefix}/metadata", server.metadata)
    app.add_exception_handler(HTTPException, lambda _, error: _refused(error.status_code, error.detail))
    app.add_exception_handler(Exception, lambda _, error: _refused(500, "the server failed; its log has the reason"))
    app.add_middleware(Monitoring)
    openapi.extend(app, loaded)
    return app


def configuration(app: Any, limits: Limits, **settings: Any) -> uvicorn.Config:
    """The settings of uvicorn for an application.

    Args:
      app: ASGI application.
      limits: bounds on requests.
      **settings: further settings, such as the port.
    """
    return uvicorn.Config(
        app,
        http=bounded(limits.read_seconds),
        ws="none",
        access_log=False,
        server_header=False,
        limit_concurrency=limits.connections,
        timeout_graceful_shutdown=limits.shutdown_seconds,
        **settings,
    )


def serve(
    models: Mapping[str, artefacts.PathLike],
    host: str = "127.0.0.1",
    port: int = 8501,
    limits: Limits | None = None,
    *,
    batching: bool = True,
    reload_seconds: float = 10.0,
    log_requests: bool = True,
    trust: bool = False,
) -> None:
    """Serves SavedModels until SIGTERM or SIGINT, which end the process; see `EndingServer`.

    Args:
      models: folders by names, as `application` takes them.
      host: address to listen at.
      port: port to listen at.
      limits: bounds on requests.
      batching: whether rows of several requests are computed together.
      reload_seconds: time between two looks for newer versions; 0 to never look.
      log_requests: whether the standard error gets a line of JSON for every request.
      trust: True to serve SavedModels that may do more than compute, as `application` takes it.

    Raises:
      ConfigurationError: a folder without version.
      CorruptArtefactError: a file is missing, damaged, or not a SavedModel.
      UntrustedModelError: see `saved_models.load_module`.
    """
    limits = limits or Limits()
    app = application(models, limits, batching=batching, reload_seconds=reload_seconds, trust=trust)
    if log_requests:
        access_log.addHandler(logging.StreamHandler(sys.stderr))
        access_log.setLevel(logging.INFO)
        access_log.propagate = False
    EndingServer(configuration(app, limits, host=host, port=port)).run()
