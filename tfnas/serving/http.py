"""An HTTP server in TensorFlow Serving's REST conventions."""

from typing import Any

from tfnas import artefacts
from tfnas.errors import ConfigurationError, TfnasError
from tfnas.serving.requests import Servable

LARGEST_REQUEST = 1 << 26


def application(name: str, folder: artefacts.PathLike) -> Any:
    """The FastAPI application that serves a SavedModel.

    `GET /v1/models/NAME`, `GET /v1/models/NAME/metadata` and `POST /v1/models/NAME:predict`, also with `/versions/1`.
    A wrong request is answered with status 400 and `{"error": ...}`, a request of over 64 MiB with status 413.

    Args:
      name: name of the model in addresses.
      folder: folder of the SavedModel.

    Raises:
      ConfigurationError: FastAPI is not installed.
      CorruptArtefactError: a file is missing, damaged, or not a SavedModel.
    """
    try:
        from fastapi import FastAPI, Request
        from fastapi.concurrency import run_in_threadpool
        from fastapi.responses import JSONResponse
    except ImportError as error:
        raise ConfigurationError("serving needs the package fastapi: pip install tfnas[http]") from error
    servable = Servable(folder)
    served = FastAPI(title=name, docs_url=None, redoc_url=None)

    def refused(status: int, reason: str) -> JSONResponse:
        return JSONResponse({"error": reason}, status)

    @served.get(f"/v1/models/{name}")
    @served.get(f"/v1/models/{name}/versions/1")
    def status() -> dict[str, Any]:
        answer = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        return {"model_version_status": [answer]}

    @served.get(f"/v1/models/{name}/metadata")
    @served.get(f"/v1/models/{name}/versions/1/metadata")
    def metadata() -> dict[str, Any]:
        return {"model_spec": {"name": name, "version": "1"}, "metadata": {"signature_def": servable.metadata()}}

    @served.post(f"/v1/models/{name}:predict")
    @served.post(f"/v1/models/{name}/versions/1:predict")
    async def predict(request: Request) -> JSONResponse:
        content = bytearray()
        async for chunk in request.stream():
            content += chunk
            if len(content) > LARGEST_REQUEST:
                return refused(413, f"a request of more than {LARGEST_REQUEST} bytes")
        try:
            body = artefacts.parse_json(bytes(content), "the request")
            return JSONResponse(await run_in_threadpool(servable.predict, body))
        except TfnasError as error:
            return refused(400, str(error))

    return served


def serve(name: str, folder: artefacts.PathLike, host: str, port: int) -> None:
    """Serves a SavedModel until the process is interrupted.

    Args:
      name: name of the model in addresses.
      folder: folder of the SavedModel.
      host: address to listen at.
      port: port to listen at.

    Raises:
      ConfigurationError: FastAPI or uvicorn is not installed.
      CorruptArtefactError: a file is missing, damaged, or not a SavedModel.
    """
    app = application(name, folder)
    try:
        import uvicorn
    except ImportError as error:
        raise ConfigurationError("serving needs the package uvicorn: pip install tfnas[http]") from error
    uvicorn.run(app, host=host, port=port, log_level="info")
