"""Server routes for static files, and the check of host names.

Thumbnails of runs are drawn when a browser asks for them, which it does for the rows in sight.
The scripts of the linked maps and the sheets of images are handed out from where they are, so that
nothing is copied and an installation may be read-only. Their addresses change with their contents,
so a browser requests each once.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

from aecore import latent, locations, projections
from aecore.data.spec import DATASET_NAME
from aecore.errors import InvalidRequest
from aecore.plots import images
from aecore.runs import store
from aecore.viewer import STATIC

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SCRIPTS, SHEETS, GUIDE = "loupe/scripts", "loupe/sheets", "loupe/guide"
THUMBNAILS = "loupe/thumbnails"
FINGERPRINT = 12  # digits of a dataset's fingerprint that name its files

FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
HEADERS = {
    # Against clickjacking: no other site may frame these pages.
    "Content-Security-Policy": "frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
}


# --- Files --------------------------------------------------------------------------------------


@cache
def scripts() -> dict[str, Path]:
    """Files of the linked maps' scripts and of the installed Plotly, by name."""
    plotly = Path(importlib.util.find_spec("plotly").origin).parent  # found, not loaded
    files = [*sorted(STATIC.glob("*.js")), plotly / "package_data" / "plotly.min.js"]
    return {file.name: file for file in files}


@cache
def scripts_address() -> str:
    """URL path of the scripts, below the address of the dashboard."""
    contents = b"".join(file.read_bytes() for file in scripts().values())
    return f"{SCRIPTS}/{hashlib.sha256(contents).hexdigest()[:12]}"


def sheet_address(dataset: str, fingerprint: str, split: str) -> str:
    """URL path of the images of a split, below the address of the dashboard."""
    return f"{SHEETS}/{dataset}/{fingerprint[:FINGERPRINT]}/{split}.gz"


async def script(request: Request) -> FileResponse:
    """Serve one script, under the digest of all."""
    digest, name = request.path_params["digest"], request.path_params["name"]
    if f"{SCRIPTS}/{digest}" != scripts_address() or name not in scripts():
        raise HTTPException(404)
    return FileResponse(scripts()[name], headers=FOREVER, media_type="text/javascript")


async def sheet(request: Request) -> FileResponse:
    """Serve the images of a split of a dataset, gzipped."""
    dataset, fingerprint, split = map(request.path_params.get, ("dataset", "fingerprint", "split"))
    # The requested names become parts of a path.
    asked, allowed = f"{dataset}/{fingerprint}", f"{DATASET_NAME}/[0-9a-f]{{{FINGERPRINT}}}"
    if not re.fullmatch(allowed, asked):
        raise HTTPException(404)
    file = projections.sprite_files(dataset, fingerprint).get(split)
    file = file and locations.readable(file)
    if file is None or not file.is_file():
        raise HTTPException(404)
    return FileResponse(file, headers=FOREVER, media_type="application/gzip")


def thumbnail_address(run: store.Run) -> str:
    """URL path of the thumbnail of a run's map, below the address of the dashboard."""
    return f"{THUMBNAILS}/{run.name}/{int(run.manifest.created.timestamp() * 1e6)}.png"


# No coroutine: it takes some 10 ms, in which the server answers others.
def thumbnail(request: Request) -> Response:
    """Serve the thumbnail of a run's map, drawn for each browser that shows its row."""
    try:
        run = store.load(request.path_params["name"])
        if not request.url.path.endswith(thumbnail_address(run)):
            raise HTTPException(404)
        codes = run.codes
        latent.refuse_unless_finite(run, codes["plane"])
    except InvalidRequest as error:
        raise HTTPException(404, str(error)) from None
    classes = bool(run.dataset.label_names)
    picture = images.thumbnail(codes["plane"], codes["labels"], classes)
    return Response(picture, headers=FOREVER, media_type="image/png")


async def guide(request: Request) -> FileResponse:
    """Serve the guide to the pages, as text."""
    return FileResponse(Path(__file__).parents[2] / "docs" / "guide.md", media_type="text/plain")


def routes() -> list[Route]:
    """Routes of the static files."""
    base = st.get_option("server.baseUrlPath").strip("/")
    start = f"/{base}/" if base else "/"
    return [
        Route(f"{start}{SCRIPTS}/{{digest}}/{{name}}", script),
        Route(f"{start}{SHEETS}/{{dataset}}/{{fingerprint}}/{{split}}.gz", sheet),
        Route(f"{start}{THUMBNAILS}/{{name}}/{{created}}.png", thumbnail),
        Route(f"{start}{GUIDE}", guide),
    ]


def prepare() -> None:
    """Read the runs, and load the library of tables, while the browser starts."""

    def read() -> None:
        import_module("pandas")
        with suppress(InvalidRequest, OSError):  # which the page says
            store.runs()

    Thread(target=read, daemon=True).start()


# --- Host check ---------------------------------------------------------------------------------


class Guard:
    """Middleware that accepts the names of `server.allowedHosts` only and restricts framing.

    Streamlit checks the name where a page opens its connection; here every request is checked, so
    that a foreign page that points its own name at this machine (DNS rebinding) reads nothing, and
    the user sees what to do.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        app = self.app if is_host_allowed(Headers(scope=scope).get("host")) else REFUSAL
        await app(scope, receive, send_with_headers)


REFUSAL = PlainTextResponse(
    "This dashboard does not answer under this name. Open it as http://127.0.0.1, or start it with "
    "--server.allowedHosts=NAME (make run: HOSTS=NAME) and the name or address that you use.\n",
    status_code=400,
)


def middleware() -> list[Middleware]:
    """Middleware of the server."""
    return [Middleware(Guard)]
