"""`/series/{SeriesInstanceUID}/preview`: a small picture of a series."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request
from fastapi.responses import Response

from seriesgate.server.access.tokens import Scope
from seriesgate.server.http.problem import ProblemError
from seriesgate.server.registry.preview import (
    MAX_BYTES,
    PNG,
    WEBP,
    NotAPicture,
    PictureTooLarge,
    Preview,
    read_preview,
)
from seriesgate.server.routes.access import requires
from seriesgate.server.routes.openapi import operation_id, problems
from seriesgate.server.routes.series_query import VALUE_PATTERN
from seriesgate.server.routes.store import Store

router = APIRouter(tags=["series"], generate_unique_id_function=operation_id)

_PATH = "/series/{SeriesInstanceUID:uid}/preview"
_PICTURE: dict[str, Any] = {
    media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in (PNG, WEBP)
}
# Who may see the series has it, no one between; asked for again each time, and not sent again.
_CACHING = "private, no-cache"

_SeriesInstanceUid = Annotated[
    str, Path(alias="SeriesInstanceUID", max_length=128, pattern=VALUE_PATTERN)
]


@router.put(
    _PATH,
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    response_description="The picture is kept, in place of the one before",
    responses=problems(HTTPStatus.NOT_FOUND),
    openapi_extra={"requestBody": {"required": True, "content": _PICTURE}},
    dependencies=[requires(Scope.REGISTER)],
)
async def put_preview(
    series_instance_uid: _SeriesInstanceUid, request: Request, store: Store
) -> Response:
    """Keep a small picture of a series that is registered: PNG or WebP, up to 256 KiB.

    It may have 1024 rows and columns. What it shows is patient data, as a name is.
    """
    preview = await _preview_of(request)
    if not await store.put_preview(series_instance_uid, preview):
        raise ProblemError(HTTPStatus.NOT_FOUND, "no series with this SeriesInstanceUID is known")
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.get(
    _PATH,
    response_class=Response,
    responses={
        200: {"description": "The picture", "content": _PICTURE},
        304: {"description": "The picture is the one that If-None-Match names"},
        **problems(HTTPStatus.NOT_FOUND),
    },
    dependencies=[requires(Scope.READ)],
)
async def get_preview(
    series_instance_uid: _SeriesInstanceUid,
    store: Store,
    if_none_match: Annotated[str | None, Header(max_length=4096)] = None,
) -> Response:
    """Give the picture of a series. Its row says whether there is one: `HasPreview`."""
    preview = await store.preview(series_instance_uid)
    if preview is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, "there is no picture of this series")
    headers = {"ETag": preview.entity_tag, "Cache-Control": _CACHING}
    if _names(if_none_match, preview.entity_tag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(preview.content, headers=headers, media_type=preview.media_type)


async def _preview_of(request: Request) -> Preview:
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > MAX_BYTES:
            raise ProblemError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"a picture must not be longer than {MAX_BYTES} bytes",
                headers={"Connection": "close"},  # the rest of it is not read
            )
    try:
        return read_preview(bytes(content))
    except NotAPicture as error:
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, str(error)) from None
    except PictureTooLarge as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None


def _names(if_none_match: str | None, entity_tag: str) -> bool:
    """Compare as RFC 9110, 13.1.2 says: weakly."""
    named = [each.strip().removeprefix("W/") for each in (if_none_match or "").split(",")]
    return entity_tag in named or named == ["*"]
