"""`/series/{SeriesInstanceUID}/preview`: pictures of series."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from tests.integration.app_client import AppClient, assert_problem
from tests.unit.server.examples import FIVE_FIELDS

URL = "/series/1.2/preview"


def picture(kind="PNG", size=(8, 4), **options):
    stream = io.BytesIO()
    Image.new("RGB", size, (10, 200, 30)).save(stream, kind, **options)
    return stream.getvalue()


@pytest.fixture
def client():
    with AppClient() as client:
        yield client


@pytest.fixture
def registered(client):
    client.request("POST", "/series", json=FIVE_FIELDS)
    return client


PICTURES = {
    "PNG": (picture(), "image/png"),
    "WebP, lossy": (picture("WEBP"), "image/webp"),
    "WebP, lossless": (picture("WEBP", lossless=True), "image/webp"),
    "WebP, extended": (picture("WEBP", exif=b"Exif\0\0x"), "image/webp"),
}


@pytest.mark.parametrize(("content", "media_type"), PICTURES.values(), ids=list(PICTURES))
def test_picture_is_given_back_as_it_was_sent(registered, content, media_type):
    assert registered.request("PUT", URL, content=content).status_code == 204
    answer = registered.request("GET", URL)
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["content-type"] == media_type
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, no-cache"
    assert registered.request("GET", "/series/1.2").json()["HasPreview"] is True
    assert registered.request("GET", "/series").json()["series"][0]["HasPreview"] is True


def test_picture_that_the_client_has_is_not_sent_again(registered):
    registered.request("PUT", URL, content=picture())
    tag = registered.request("GET", URL).headers["etag"]
    for known in (tag, f'W/{tag}, "other"', f'"other", {tag}', "*"):
        answer = registered.request("GET", URL, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == tag
    registered.request("PUT", URL, content=picture(size=(9, 9)))
    assert registered.request("GET", URL, headers={"If-None-Match": tag}).status_code == 200


def test_no_series_and_no_picture(client):
    assert_problem(client.request("PUT", URL, content=picture()), 404)
    client.request("POST", "/series", json=FIVE_FIELDS)
    assert_problem(client.request("GET", URL), 404)
    assert client.request("GET", "/series/1.2").json()["HasPreview"] is False


@pytest.mark.parametrize("uid", ["a/b", "preview", "a/preview"])
def test_any_uid_has_a_picture(client, uid):
    client.request("POST", "/series", json=FIVE_FIELDS | {"SeriesInstanceUID": uid})
    assert client.request("PUT", f"/series/{uid}/preview", content=picture()).status_code == 204
    assert client.request("GET", f"/series/{uid}/preview").status_code == 200


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 415),
        (b"<svg onload='alert(1)'/>", 415),
        (picture("JPEG"), 415),
        (picture("GIF"), 415),
        (picture()[:20], 415),
        (picture("WEBP")[:25], 415),
        (b"RIFF\x00\x00\x00\x00WEBPXXXX" + bytes(20), 415),
        (picture(size=(1025, 1)), 422),
        (picture("WEBP", size=(1, 1025)), 422),
        (picture("WEBP", size=(1025, 1), lossless=True), 422),
        (picture("WEBP", size=(1, 1025), exif=b"Exif\0\0x"), 422),
        (picture()[:16] + bytes(8) + picture()[24:], 422),
        (picture() + bytes(256 * 1024), 413),
    ],
)
def test_what_is_no_small_picture_is_refused(registered, content, status):
    assert_problem(registered.request("PUT", URL, content=content), status)
    assert registered.request("GET", URL).status_code == 404
