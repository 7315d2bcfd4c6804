"""Declarations of JSON operations: access, inputs, answer. `/openapi.json` is generated from them too."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from flask import Response, request

from ota.core.permissions import Access
from ota.core.type_errors import in_words
from ota.errors import Invalid, TooLarge
from ota.web.access import Caller, declare

FILE_FIELD = "file"
MAX_BODY_BYTES = 256 * 1024
DEVICES = "App Updates"
MANAGING = "Managing"
SYSTEM = "System"

JSON = "application/json"
MALFORMED = "malformed_json"
_WRONG = "invalid_field"
EXAMPLE_TIME = "2026-03-01T12:00:00Z"
NOT_KEPT = {"Cache-Control": "no-store"}

encode = msgspec.json.Encoder().encode
_WHEN_TOO_LARGE = "Send only the fields that are documented."
_HINTS = {
    "rollout": " A rollout is given in whole basis points: 10 % is 1000, everybody is 10000.",
    "approval_above": " It is given in whole basis points: 10 % is 1000; null asks for nobody's approval.",
}


class WrongMediaType(Invalid):
    """The body has another media type than its operation accepts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Declaration of one JSON operation."""

    access: Access
    summary: str
    tag: str
    answer: type[msgspec.Struct]
    status: int = 200
    body: type[msgspec.Struct] | None = None
    query: type[msgspec.Struct] | None = None
    form: type[msgspec.Struct] | None = None
    parts: tuple[type[msgspec.Struct], ...] = ()
    """Shapes inside the body that are parsed later."""

    is_body_optional: bool = False
    operation_id: str = ""
    """Id in the OpenAPI document, which names methods of generated clients. Default: from the endpoint."""

    is_raw: bool = False
    """The view gets the body as bytes (``raw``) and returns bytes. Its shapes are only for the document."""

    most_bytes: int = MAX_BODY_BYTES
    """Largest body, in bytes."""

    when_too_large: str = _WHEN_TOO_LARGE
    """Advice for callers who sent a larger body."""

    @property
    def caller(self) -> Caller:
        """How the caller is identified: by a token, unless the operation is public."""
        return Caller.ANYONE if self.access is Access.PUBLIC else Caller.TOKEN


def act(
    summary: str,
    *,
    body: type[msgspec.Struct],
    answer: type[msgspec.Struct],
    tag: str = MANAGING,
    operation_id: str = "",
) -> Operation:
    """Declare an act of a publisher on an existing thing. Its body is optional."""
    return Operation(
        access=Access.PUBLISH,
        summary=summary,
        tag=tag,
        body=body,
        is_body_optional=True,
        answer=answer,
        operation_id=operation_id,
    )


def operation(spec: Operation) -> Callable[[Callable[..., Any]], Callable[..., Response]]:
    """Make a view of a function that gets parsed ``body``, ``query`` or ``fields`` and returns a struct.

    Returning ``(struct, status)`` overrides the declared status.
    """

    def decorate(view: Callable[..., Any]) -> Callable[..., Response]:
        @functools.wraps(view)
        def run(**path: Any) -> Response:
            result = view(**path, **_inputs(spec))
            answer, status = result if isinstance(result, tuple) else (result, spec.status)
            return json_response(answer, status)

        run.__operation__ = spec  # type: ignore[attr-defined]
        return declare(spec.access, spec.caller)(run)

    return decorate


def json_response(answer: Any, status: int) -> Response:
    """Return a struct, or its encoded bytes, as a JSON response that no cache stores."""
    response = Response(answer if isinstance(answer, bytes) else encode(answer), status, mimetype=JSON)
    response.headers.update(NOT_KEPT)
    return response


def _inputs(spec: Operation) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    if spec.is_raw:
        inputs["raw"] = _read_json(spec)
    elif spec.body is not None:
        inputs["body"] = _read_body(spec, spec.body)
    if spec.query is not None:
        inputs["query"] = convert(request.args.to_dict(), spec.query)
    if spec.form is not None:
        inputs["fields"] = _read_form(spec.form)
    return inputs


def _read_form(shape: type[msgspec.Struct]) -> Any:
    if request.mimetype != "multipart/form-data":
        raise WrongMediaType(
            "wrong_content_type", "Expected multipart/form-data with the build in the field 'file'."
        )
    sent = request.form.to_dict().items()
    return convert({name: text for name, text in sent if text != "" and name != FILE_FIELD}, shape)


def _read_body(spec: Operation, shape: type[msgspec.Struct]) -> Any:
    raw = _read_json(spec)
    return shape() if not raw and spec.is_body_optional else decode(raw, shape)


def _read_json(spec: Operation) -> bytes:
    raw = _read_limited(spec)
    if request.mimetype != JSON and (raw or not spec.is_body_optional):
        raise WrongMediaType(
            "wrong_content_type", "Expected a JSON body with the header Content-Type: application/json."
        )
    return raw


def _read_limited(spec: Operation) -> bytes:
    if (request.content_length or 0) > spec.most_bytes:
        raise body_too_large(spec)
    raw = request.stream.read(spec.most_bytes + 1)
    if len(raw) > spec.most_bytes:
        raise body_too_large(spec)
    return raw


def body_too_large(spec: Operation | None) -> TooLarge:
    """Return the error for a body that is larger than this operation, or a page, accepts."""
    most, advice = (spec.most_bytes, spec.when_too_large) if spec else (MAX_BODY_BYTES, _WHEN_TOO_LARGE)
    return TooLarge("body_too_large", f"The body is larger than {most // 1024} KiB. {advice}", limit=most)


def decode(raw: bytes, shape: type[msgspec.Struct], *, may_have_nul: bool = False) -> Any:
    """Parse JSON bytes as the shape. Raises `Invalid`, naming the field and what was expected.

    ``may_have_nul``: the caller checks the texts that it uses, with `refuse_nul`.
    """
    if not may_have_nul and b"\\u0000" in raw:
        raise _has_nul()
    try:
        return _decoder(shape).decode(raw)
    except msgspec.ValidationError as error:
        raise invalid_field(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(
            MALFORMED, f'The body is not JSON: {error}. Expected an object such as {{"platform": "android"}}.'
        ) from error


@functools.cache
def _decoder(shape: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(shape)


def convert(values: dict[str, str], shape: type[msgspec.Struct]) -> Any:
    """Parse texts of a query or a form as the shape. Raises `Invalid`, as `decode` does."""
    if any("\0" in text for text in values.values()):
        raise _has_nul()
    try:
        return msgspec.convert(values, shape, strict=False)
    except msgspec.ValidationError as error:
        raise invalid_field(error) from error


def refuse_nul(*texts: str | None) -> None:
    """Raise `Invalid` for a text with the character NUL, which databases cannot store."""
    if any("\0" in text for text in texts if text):
        raise _has_nul()


def with_plus(version: str | None) -> str | None:
    """Return a version from an address, in which an unescaped ``+`` has become a space."""
    return version and version.strip().replace(" ", "+")


def _has_nul() -> Invalid:
    return Invalid(
        "invalid_text",
        "A text contains the character NUL (U+0000), which no database of ours can hold. Leave it out.",
    )


def invalid_field(error: msgspec.ValidationError) -> Invalid:
    """Turn the library's error into `Invalid`, which names the field."""
    problem, _, path = str(error).partition(" - at `$")
    if "missing required field" in problem:
        return Invalid.about(_field_named_in(problem), "missing_field", "this field is missing.")
    if "unknown field" in problem:
        advice = "there is no such field here. See /docs for those there are."
        return Invalid.about(_field_named_in(problem), "unknown_field", advice)
    field = path.strip("`.")
    if "datetime" in problem:
        problem = f"expected a time with its zone, for example {EXAMPLE_TIME}"
    sentence = f"{in_words(problem)}.{_HINTS.get(field, '')}"
    return Invalid.about(field, _WRONG, sentence) if field else Invalid(_WRONG, f"body: {sentence}")


def _field_named_in(problem: str) -> str:
    return problem.rpartition("field `")[2].strip("`")
