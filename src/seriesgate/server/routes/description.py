"""`/openapi.json`: the description of the API, for those who may use it."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from seriesgate.server.routes.access import REQUIRES_ANY_TOKEN

router = APIRouter()


@router.get("/openapi.json", include_in_schema=False, dependencies=[REQUIRES_ANY_TOKEN])
async def openapi(request: Request) -> JSONResponse:
    """Give the OpenAPI document."""
    return JSONResponse(request.app.openapi())
