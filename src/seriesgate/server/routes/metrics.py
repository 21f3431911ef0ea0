"""`/metrics`, for Prometheus."""

from fastapi import APIRouter, Request, Response

from seriesgate.server.http.metrics import MEDIA_TYPE, ServerMetrics
from seriesgate.server.routes.access import REQUIRES_ANY_TOKEN

router = APIRouter()


@router.get("/metrics", include_in_schema=False, dependencies=[REQUIRES_ANY_TOKEN])
async def metrics(request: Request) -> Response:
    """Give what this process has counted and timed."""
    counted: ServerMetrics = request.app.state.metrics
    return Response(counted.exposition(), media_type=MEDIA_TYPE)
