"""Error handlers: JSON for programs, a fragment for HTMX, a page for people. Never a stack trace."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

import msgspec
from flask import Flask, Response, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError
from sqlalchemy.orm.exc import ObjectDeletedError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from ota import errors
from ota.db import AWAY, db, first_line
from ota.errors import OtaError, StorageFull
from ota.storage.files import FULL, is_full
from ota.web.access import LoginNeeded, login_manager
from ota.web.operation import WrongMediaType, json_response
from ota.web.shapes import ErrorAnswer

log = logging.getLogger(__name__)

_STATUS: list[tuple[type[OtaError], int]] = [
    (WrongMediaType, 415),
    (errors.Invalid, 400),
    (errors.Unauthenticated, 401),
    (errors.Forbidden, 403),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.Gone, 410),
    (errors.TooLarge, 413),
    (errors.Rejected, 422),
    (errors.TooMany, 429),
    (errors.StorageFull, 507),
]

_HTTP_CODES = {
    400: ("bad_request", "The request can't be read. See /docs for what is expected."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address doesn't know that method. See /docs."),
    413: ("body_too_large", "The request, or one of its text fields, is larger than this address accepts."),
    415: ("wrong_content_type", "Expected a JSON body with the header Content-Type: application/json."),
    416: ("bad_range", "The asked range lies outside the file. Start again without a Range header."),
}


def init_app(app: Flask) -> None:
    """Register handlers for all errors."""
    app.register_error_handler(OtaError, _on_ota_error)
    app.register_error_handler(CSRFError, _on_forged_form)
    app.register_error_handler(RequestEntityTooLarge, _on_too_large)
    app.register_error_handler(HTTPException, _on_http_exception)
    app.register_error_handler(DataError, _on_unstorable)
    app.register_error_handler(IntegrityError, _on_race)
    app.register_error_handler(ObjectDeletedError, _on_race)
    for away in AWAY:
        app.register_error_handler(away, _on_database_away)
    app.register_error_handler(OSError, _on_os_error)
    app.register_error_handler(Exception, _on_bug)


def status_of(error: OtaError) -> int:
    """Return the HTTP status of an error."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 400)


def is_for_programs() -> bool:
    """Return whether the caller expects JSON."""
    return request.path.startswith(("/api/", "/downloads/")) or request.path == "/openapi.json"


def present(error: OtaError, status: int) -> Response:
    """Return the error in the form for this caller.

    Rendering it uses no database, because that can be the cause.
    """
    g.is_failing = True
    g._login_user = login_manager.anonymous_user()
    if is_for_programs():
        return _as_json(error, status)
    db.session.rollback()
    if request.headers.get("HX-Request") == "true":
        response = make_response(render_template("frame/_problem.html", error=error), status)
        # Swapped into the area for messages, wherever the request came from; see static/js/app.js.
        response.headers["HX-Retarget"] = "#messages"
        response.headers["HX-Reswap"] = "innerHTML"
        return response
    return make_response(render_template("frame/error.html", error=error, status=status), status)


def _as_json(error: OtaError, status: int) -> Response:
    details = dict(error.details)
    current = details.pop("current", msgspec.UNSET)
    answer = ErrorAnswer(
        code=error.code, message=error.message, details=details or msgspec.UNSET, current=current
    )
    response = json_response(answer, status)
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="ota"'
    return response


def _on_ota_error(error: OtaError) -> ResponseReturnValue:
    if isinstance(error, LoginNeeded):
        return _to_login()
    response = present(error, status_of(error))
    if isinstance(error, errors.TooMany):
        response.headers["Retry-After"] = "60"
    return response


def _to_login() -> ResponseReturnValue:
    target = url_for("account.login", next=request.full_path.rstrip("?") if request.method == "GET" else None)
    if request.headers.get("HX-Request") == "true":
        page = urlsplit(request.headers.get("HX-Current-URL", "")).path or None
        return Response(status=401, headers={"HX-Redirect": url_for("account.login", next=page)})
    return redirect(target, 303)


def _on_forged_form(error: CSRFError) -> ResponseReturnValue:
    sentence = (
        "This form is out of date or was not made by this server, so nothing was changed. "
        "Reload the page and send it again."
    )
    return present(OtaError("csrf", sentence), 400)


def _on_too_large(error: RequestEntityTooLarge) -> ResponseReturnValue:
    return present(OtaError(*_HTTP_CODES[413]), 413)


def _on_http_exception(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    if status < 400:
        return error  # A redirect to the address with the right slash.
    code, sentence = _HTTP_CODES.get(status, ("http_error", error.description or error.name))
    response = present(OtaError(code, sentence), status)
    for name, value in error.get_headers():
        if name in {"Allow", "Content-Range", "Retry-After"}:
            response.headers[name] = value
    return response


def _on_unstorable(error: DataError) -> ResponseReturnValue:
    # PostgreSQL stores no NUL and no number beyond its column's range.
    log.info("the database cannot store the input: %s", error.orig)
    return present(
        OtaError(
            "invalid_text",
            "Something sent can't be stored: a text with the character NUL, or a number that is too large.",
        ),
        400,
    )


def _on_race(error: IntegrityError | ObjectDeletedError) -> ResponseReturnValue:
    log.info("lost a race: %s", first_line(error))
    return present(
        OtaError(
            "conflict",
            "Somebody else changed this at the same moment. Look at its present state, then decide again.",
        ),
        409,
    )


def _on_os_error(error: OSError) -> ResponseReturnValue:
    if is_full(error):
        return present(StorageFull("storage_full", FULL), 507)
    return _on_bug(error)


def _on_database_away(error: SQLAlchemyError) -> ResponseReturnValue:
    log.error("the database does not answer: %s", first_line(error))
    response = present(
        OtaError(
            "database_unavailable", "The database does not answer at the moment. Try again in a few seconds."
        ),
        503,
    )
    response.headers["Retry-After"] = "5"
    return response


def _on_bug(error: Exception) -> ResponseReturnValue:
    log.exception("unexpected error in %s %s", request.method, request.path)
    return present(
        OtaError("internal_error", "Something failed on the server; its log says what. Nothing was changed."),
        500,
    )
