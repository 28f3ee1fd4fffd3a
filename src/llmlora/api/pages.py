"""The interface: pages that the build of `web/` has left as files."""

import hashlib
import os
import re
from base64 import b64encode
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

BUILT = Path(str(files("llmlora"))) / "web"
INLINE_SCRIPT = re.compile(r"<script(?![^>]*\ssrc=)[^>]*>(.+?)</script>", re.DOTALL)
UNCHANGING = "/_next/static/"  # their names hold a hash of what is in them
POLICY = (
    "default-src 'self'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
NOT_BUILT = """<!doctype html><html lang="ja"><meta charset="utf-8"><title>llmlora</title>
<h1>llmlora</h1>
<p>API は動いています。画面はまだ作られていません。<code>make start</code> で作って起動できます。</p>
<p lang="en">The API is running. The interface has not been built yet: <code>make start</code> builds and starts it.</p>
</html>"""


class Pages(StaticFiles):
    """Files, each page with a policy that names its own inline scripts."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory=directory, html=True)
        self.policies = {str(path): policy_of(path.read_text("utf-8")) for path in directory.rglob("*.html")}

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["content-security-policy"] = self.policies.get(str(full_path), policy_of(""))
        unchanging = UNCHANGING in scope["path"]
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if unchanging else "no-cache"
        return response


def policy_of(page: str) -> str:
    """The content security policy of a page: its inline scripts by their hashes, and nothing from elsewhere."""
    digests = [hashlib.sha256(script.encode()).digest() for script in INLINE_SCRIPT.findall(page)]
    return POLICY.format(scripts=" ".join(f"'sha256-{b64encode(digest).decode()}'" for digest in digests))


def install(app: FastAPI, directory: Path = BUILT) -> None:
    """Serve the pages, or say how to build them. Added last: every other path is the application's own."""
    if directory.is_dir():
        app.mount("/", Pages(directory))
        return

    @app.get("/", include_in_schema=False)
    def not_built(_: Request) -> HTMLResponse:
        return HTMLResponse(NOT_BUILT, headers={"content-security-policy": policy_of("")})
