"""Every error as one JSON shape, `{"error": {code, message, hint, fields}}`, in the reader's language."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from llmlora.api.context import language_of
from llmlora.errors import (
    DatasetInUse,
    DataUnreadable,
    DiskFull,
    InvalidRecipe,
    JobConflict,
    ModelNameTaken,
    ModelNotFound,
    NotFound,
    OllamaUnreachable,
    StoreUnusable,
    TooLarge,
)
from llmlora.failure import LlmloraError
from llmlora.recipe import Recipe
from llmlora.store.database import says_disk_full
from llmlora.text.catalogue import Language, Words, catalogue, say

STATUS: dict[type[LlmloraError], int] = {
    NotFound: 404,
    ModelNotFound: 404,
    JobConflict: 409,
    DatasetInUse: 409,
    ModelNameTaken: 409,
    TooLarge: 413,
    OllamaUnreachable: 503,
    StoreUnusable: 503,
    DiskFull: 507,
}
OTHERWISE = 422  # what was asked cannot be done; the message says why


class Field(BaseModel):
    """Where a request is wrong."""

    field: str
    problem: str


class Problem(BaseModel):
    """What happened and what to do next."""

    code: str
    message: str
    hint: str
    fields: list[Field] = []


class ErrorBody(BaseModel):
    """The body of every answer that is not a success."""

    error: Problem


def problem(error: LlmloraError, language: Language) -> Problem:
    """An error of ours in the reader's language."""
    message = error.message(language)
    fields = []
    if isinstance(error, DataUnreadable) and error.problem.key == "unreadable.no_known_columns":
        fields = [Field(field="map", problem=message)]
    if isinstance(error, InvalidRecipe):
        fields = _recipe_fields(error.problems, language)
    return Problem(code=error.code, message=message, hint=error.hint(language), fields=fields)


def error_response(error: LlmloraError, language: Language) -> JSONResponse:
    """The answer that an error of ours becomes."""
    return _response(STATUS.get(type(error), OTHERWISE), problem(error, language))


def plain_response(status: int, code: str, language: Language, **facts: object) -> JSONResponse:
    """The answer for what the web itself refuses: the words are in the catalogue under `api.<code>`."""
    message, hint = (say(language, f"api.{code}.{part}", **facts) for part in ("message", "hint"))
    return _response(status, Problem(code=code, message=message, hint=hint))


def install(app: FastAPI) -> None:
    """Translate all errors of the app's routes."""

    @app.exception_handler(LlmloraError)
    def ours(request: Request, error: LlmloraError) -> JSONResponse:
        return error_response(error, language_of(request))

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        language = language_of(request)
        fields = [_field(detail, language) for detail in error.errors()]
        message, hint = (say(language, f"api.invalid_request.{part}") for part in ("message", "hint"))
        return _response(422, Problem(code="invalid_request", message=message, hint=hint, fields=fields))

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> JSONResponse:
        codes = {
            401: "no_token",
            429: "too_many_tries",
            404: "no_such_page",
            405: "method_not_allowed",
            413: "too_large",
            415: "wrong_content_type",
            503: "busy",
        }
        code = codes.get(error.status_code, "refused")
        response = plain_response(error.status_code, code, language_of(request))
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(OperationalError)
    @app.exception_handler(PoolTimeout)
    def store_away(request: Request, error: Exception) -> JSONResponse:
        if says_disk_full(error):
            return plain_response(507, "store_full", language_of(request))
        response = plain_response(503, "store_away", language_of(request))
        response.headers["retry-after"] = "5"
        return response

    @app.exception_handler(Exception)
    def unforeseen(request: Request, _: Exception) -> JSONResponse:
        return plain_response(500, "unforeseen", language_of(request))


def _recipe_fields(problems: Sequence[str | Words], language: Language) -> list[Field]:
    """Those that begin with the name of an option."""
    said = [problem.said(language) if isinstance(problem, Words) else problem for problem in problems]
    told = [problem.partition(": ") for problem in said]
    return [Field(field=f"recipe.{name}", problem=text) for name, _, text in told if name in Recipe.model_fields]


def _field(detail: Any, language: Language) -> Field:
    where = ".".join(str(part) for part in detail["loc"][1:])
    if detail["type"] in catalogue(language)["api"]["problems"]:
        return Field(field=where, problem=say(language, f"api.problems.{detail['type']}", **detail.get("ctx", {})))
    return Field(field=where, problem=str(detail["msg"])[:500])


def _response(status: int, body: Problem) -> JSONResponse:
    return JSONResponse({"error": body.model_dump()}, status)
