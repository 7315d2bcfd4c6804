"""`/openapi.json` and `/docs`, generated from the declarations that parse the requests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from flask import Blueprint, Flask, Response, current_app, jsonify, render_template
from werkzeug.routing import Rule

from ota import __version__
from ota.core.permissions import Access
from ota.web.access import Caller, declare
from ota.web.operation import DEVICES, MANAGING, SYSTEM, Operation
from ota.web.shapes import ErrorAnswer
from ota.web.views import public_url

blueprint = Blueprint("openapi", __name__)

_REF = "#/components/schemas/{name}"
_FORMER_NAMES = {
    "DeviceView": "ota.web.device_schemas.DeviceView",
    "KnownDeviceView": "ota.web.explain_schemas.DeviceView",
}
"""Names of two shapes in the document. Both classes once had the same name; the names are part of the API."""
_ERRORS = {
    "400": "The input cannot be used. The message states what was expected.",
    "401": "No usable token.",
    "403": "The token's role does not allow this.",
    "404": "Not found.",
    "409": "The thing changed meanwhile, or its state does not allow the act. `current` is its state.",
    "413": "More bytes than allowed.",
    "429": "Too many requests.",
}
_DOWNLOAD: dict[str, Any] = {
    "tags": [DEVICES],
    "summary": "Download a version",
    "description": "The address is the `download_url` of an answer. Range and If-Range resume a download.",
    "operationId": "download",
    "security": [],
    "responses": {
        "200": {"description": "The file.", "content": {"application/vnd.android.package-archive": {}}},
        "206": {"description": "The requested part of the file."},
        "404": {"description": "There is no such file."},
        "410": {"description": "The version was withdrawn."},
        "416": {"description": "The range lies outside the file."},
    },
}


@blueprint.get("/openapi.json")
@declare(Access.PUBLIC, Caller.ANYONE)
def document() -> Response:
    """Return the description of the API, as OpenAPI 3.1."""
    return jsonify(describe(current_app))


@blueprint.get("/docs")
@declare(Access.PUBLIC, Caller.ANYONE)
def docs() -> str:
    """Show the interactive documentation. All its files come from this server."""
    return render_template("frame/docs.html")


def describe(app: Flask) -> dict[str, Any]:
    """Return the OpenAPI document of all declared operations of the application."""
    operations = [(rule, spec) for rule in app.url_map.iter_rules() if (spec := _spec(app, rule))]
    token = {"type": "http", "scheme": "bearer", "description": "An API token, created on the page Tokens."}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OTA update server",
            "version": __version__,
            "description": "Updates for Android and iOS apps.",
        },
        "servers": [{"url": public_url()}],
        "tags": [{"name": DEVICES}, {"name": MANAGING}, {"name": SYSTEM}],
        "paths": _paths(app, operations),
        "components": {"schemas": _schemas(operations), "securitySchemes": {"token": token}},
    }


def _paths(app: Flask, operations: Sequence[tuple[Rule, Operation]]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for rule, spec in operations:
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            view = app.view_functions[rule.endpoint]
            paths.setdefault(_path(rule), {})[method.lower()] = _operation(rule, spec, view.__doc__ or "")
    for rule in app.url_map.iter_rules("downloads.download"):
        paths[_path(rule)] = {"get": {**_DOWNLOAD, "parameters": _path_parameters(rule)}}
    return dict(sorted(paths.items()))


def _schemas(operations: Sequence[tuple[Rule, Operation]]) -> dict[str, Any]:
    shapes = [shape for _, spec in operations for shape in (spec.answer, spec.body, *spec.parts) if shape]
    _, components = msgspec.json.schema_components([*shapes, ErrorAnswer], ref_template=_REF)
    return _with_former_names(components)


def _with_former_names(components: dict[str, Any]) -> dict[str, Any]:
    """Return the shapes as JSON values, under the names that generated clients use."""
    text = msgspec.json.encode(components).decode()  # Defaults that are tuples become arrays.
    for name, former in _FORMER_NAMES.items():
        text = text.replace(f'"{_REF.format(name=name)}"', f'"{_REF.format(name=former)}"')
    schemas: dict[str, Any] = msgspec.json.decode(text)
    for name, former in _FORMER_NAMES.items():
        schemas[former] = {**schemas.pop(name), "title": former.rpartition(".")[2]}
    return dict(sorted(schemas.items()))


def _operation(rule: Rule, spec: Operation, description: str) -> dict[str, Any]:
    is_open = spec.access is Access.PUBLIC
    described: dict[str, Any] = {
        "tags": [spec.tag],
        "summary": spec.summary,
        "description": description,
        "operationId": spec.operation_id or rule.endpoint.replace(".", "_"),
        "security": [] if is_open else [{"token": []}],
        "parameters": _path_parameters(rule) + _query_parameters(spec),
        "responses": {
            str(spec.status): {"description": "Done.", "content": _json(spec.answer)},
            **{
                status: {"description": text, "content": _json(ErrorAnswer)}
                for status, text in _ERRORS.items()
            },
        },
    }
    if spec.body is not None:
        described["requestBody"] = {"required": not spec.is_body_optional, "content": _json(spec.body)}
    if spec.form is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"multipart/form-data": {"schema": _form_schema(spec.form)}},
        }
    return described


def _json(shape: type[msgspec.Struct]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(name=shape.__name__)}}}


def _form_schema(shape: type[msgspec.Struct]) -> dict[str, Any]:
    schema = _inline(shape)
    file = {"type": "string", "format": "binary", "description": "The APK or IPA."}
    return {**schema, "properties": {"file": file, **schema["properties"]}, "required": ["file"]}


def _query_parameters(spec: Operation) -> list[dict[str, Any]]:
    if spec.query is None:
        return []
    schema = _inline(spec.query)
    required = set(schema.get("required", []))
    return [
        {"name": name, "in": "query", "required": name in required, "schema": described}
        for name, described in schema["properties"].items()
    ]


def _inline(shape: type[msgspec.Struct]) -> dict[str, Any]:
    schema: dict[str, Any] = msgspec.json.schema(shape)["$defs"][shape.__name__]
    return schema


def _path_parameters(rule: Rule) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "integer" if f"int:{name}" in rule.rule else "string"},
        }
        for name in sorted(rule.arguments)
    ]


def _path(rule: Rule) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)


def _spec(app: Flask, rule: Rule) -> Operation | None:
    spec: Operation | None = getattr(app.view_functions[rule.endpoint], "__operation__", None)
    return spec
