"""`/metrics`, for Prometheus."""

from fastapi import APIRouter, Request, Response

from seriesgate.server.http.gateway_metrics import GatewayCollector
from seriesgate.server.http.metrics import MEDIA_TYPE, ServerMetrics
from seriesgate.server.registry.store import StoreUnavailable
from seriesgate.server.routes.access import REQUIRES_ANY_TOKEN
from seriesgate.server.routes.store import Clock

router = APIRouter()


@router.get("/metrics", include_in_schema=False, dependencies=[REQUIRES_ANY_TOKEN])
async def metrics(request: Request, clock: Clock) -> Response:
    """Give what this process has counted and timed, and how the gateways stand.

    Without a database the gateways are left out: what is wrong with it shows in the others.
    """
    counted: ServerMetrics = request.app.state.metrics
    try:
        gateways = GatewayCollector(await request.app.state.gateways.records(), clock())
    except StoreUnavailable:
        gateways = None
    return Response(counted.exposition(gateways), media_type=MEDIA_TYPE)
