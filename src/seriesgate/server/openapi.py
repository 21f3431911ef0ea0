"""The part of the API's description that FastAPI can't find by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from seriesgate.series.report import Series
from seriesgate.server.problem import PROBLEM_MEDIA_TYPE, Problem

if TYPE_CHECKING:
    from http import HTTPStatus

    from fastapi.routing import APIRoute
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


class DescribedApp(FastAPI):
    """An app whose description has the models that routes name with `reference`.

    FastAPI knows the models of its own parameters and answers, but not those of a body that a
    route reads itself, nor those of another media type than JSON.
    """

    def openapi(self) -> dict[str, Any]:
        """Give the OpenAPI document."""
        document = super().openapi()
        _, schemas = models_json_schema(
            [(Series, "validation"), (Problem, "serialization")], ref_template=_REFERENCE
        )
        document["components"]["schemas"].update(schemas["$defs"])
        return document
