"""The part of the API's description that FastAPI can't find by itself."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from seriesgate.series.report import Series
from seriesgate.server.http.problem import PROBLEM_MEDIA_TYPE, Problem
from seriesgate.server.routes.access import Access, access_of

if TYPE_CHECKING:
    from pydantic import BaseModel

_REFERENCE = "#/components/schemas/{model}"


def operation_id(route: APIRoute) -> str:
    """Name an operation like its function; a client that is generated names its method so."""
    return route.name


def reference(model: type[BaseModel]) -> dict[str, str]:
    """Give the schema that refers to a model of the description."""
    return {"$ref": _REFERENCE.format(model=model.__name__)}


def problems(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Give the `responses` of a route that answers with problems of these statuses."""
    content = {PROBLEM_MEDIA_TYPE: {"schema": reference(Problem)}}
    return {status.value: {"description": status.phrase, "content": content} for status in statuses}


# What the layers around every route may answer: what happens to a body before it is read, by which
# name the server may be called, and what goes wrong in whatever route.
_OF_EVERY_ROUTE = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.MISDIRECTED_REQUEST,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_OF_PROTECTED_ROUTES = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.TOO_MANY_REQUESTS,
)
_SECURITY = "token"


class DescribedApp(FastAPI):
    """An app that adds to its description what FastAPI can't know.

    FastAPI knows the models of its own parameters and answers, but not those of a body that a
    route reads itself, nor those of another media type than JSON; nor what the layers around the
    routes answer and ask for.
    """

    def openapi(self) -> dict[str, Any]:
        """Give the OpenAPI document."""
        if self.openapi_schema is None:
            document = super().openapi()
            _, schemas = models_json_schema(
                [(Series, "validation"), (Problem, "serialization")], ref_template=_REFERENCE
            )
            components = document["components"]
            components["schemas"].update(schemas["$defs"])
            # FastAPI's own form of an error, which no route of ours answers with.
            components["schemas"].pop("HTTPValidationError", None)
            components["schemas"].pop("ValidationError", None)
            components["securitySchemes"] = {_SECURITY: {"type": "http", "scheme": "bearer"}}
            for route in self.routes:
                if isinstance(route, APIRoute) and route.include_in_schema:
                    for method in route.methods or ():
                        _describe(route, document["paths"][route.path_format][method.lower()])
        return super().openapi()


def _describe(route: APIRoute, operation: dict[str, Any]) -> None:
    answers = {str(status): answer for status, answer in problems(*_OF_EVERY_ROUTE).items()}
    access = access_of(route)
    if isinstance(access, Access):
        for status, answer in problems(*_OF_PROTECTED_ROUTES).items():
            answers[str(status)] = answer
        # OpenAPI 3.1 lets a bearer scheme name the roles that it needs.
        operation["security"] = [{_SECURITY: [access.scope.value] if access.scope else []}]
    operation["responses"] = answers | {
        status: answer
        for status, answer in operation["responses"].items()
        if "HTTPValidationError" not in str(answer)
    }
