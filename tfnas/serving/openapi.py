"""The description of the server's endpoints in OpenAPI, with the types of every signature."""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI

from tfnas.serving.models import Model

_REFUSALS = {
    400: "A wrong request",
    404: "No such model or version",
    408: "The request did not arrive in time",
    413: "The request is too large",
    503: "The server is busy",
    504: "The model takes too long",
}


def extend(app: FastAPI, models: Mapping[str, Model]) -> None:
    """Adds the predict requests of some models to the description that FastAPI makes.

    The description is made when it is asked for, so that it tells of the versions that are served.

    Args:
      app: application.
      models: models by name.
    """
    endpoints = app.openapi

    def described() -> dict[str, Any]:
        document = dict(endpoints())
        paths = {f"/v1/models/{name}:predict": {"post": _operation(name, model)} for name, model in models.items()}
        return document | {"paths": document["paths"] | paths}

    app.openapi = described  # type: ignore[method-assign]


def _operation(name: str, model: Model) -> dict[str, Any]:
    types = model.current.servable.json_types()
    requests = [
        {
            "type": "object",
            "title": f"{signature} by {form}",
            "properties": {"signature_name": {"const": signature}, form: _schema(kind)},
            "required": [form] if signature == "serving_default" else ["signature_name", form],
        }
        for signature, forms in types.items()
        for form, kind in forms.items()
    ]
    return {
        "summary": f"Predict with {name}",
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"oneOf": requests}}}},
        "responses": {"200": {"description": "Outputs or predictions"}}
        | {str(status): {"description": reason} for status, reason in _REFUSALS.items()},
    }


def _schema(kind: Any) -> dict[str, Any]:
    """The JSON schema of a type, in one piece."""
    schema = msgspec.json.schema(kind)
    definitions = schema.pop("$defs", {})

    def resolved(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return resolved(definitions[node["$ref"].rpartition("/")[2]])
            return {key: resolved(value) for key, value in node.items()}
        return [resolved(item) for item in node] if isinstance(node, list) else node

    return resolved(schema)
