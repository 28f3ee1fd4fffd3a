"""The interface: pages that the build of `web/` has left as files."""

import hashlib
import os
import re
from base64 import b64encode
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI
from starlette.exceptions import HTTPException
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
        root = directory.resolve()
        super().__init__(directory=root, html=True)
        pages = {str(path.relative_to(root)): path.read_text("utf-8") for path in root.rglob("*.html")}
        self.policies = {path: policy_of(page) for path, page in pages.items()}

    async def get_response(self, path: str, scope: Scope) -> Response:
        if scope["path"].startswith("/api"):  # a program asks: it wants the error, not a page
            raise HTTPException(404)
        response = await super().get_response(path, scope)
        page = "404.html" if response.status_code == 404 else path
        policy = self.policies.get(page) or self.policies.get(os.path.normpath(os.path.join(page, "index.html")))
        response.headers["content-security-policy"] = policy or policy_of("")
        unchanging = response.status_code == 200 and scope["path"].startswith(UNCHANGING)
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if unchanging else "no-cache"
        return response


def policy_of(page: str) -> str:
    """The content security policy of a page: its inline scripts by their hashes, and nothing from elsewhere."""
    digests = [hashlib.sha256(script.encode()).digest() for script in INLINE_SCRIPT.findall(page)]
    return POLICY.format(scripts=" ".join(f"'sha256-{b64encode(digest).decode()}'" for digest in digests))


def install(app: FastAPI, directory: Path = BUILT) -> None:
    """Serve the pages wherever the application has no route, or say how to build them."""
    if (directory / "index.html").is_file():
        app.router.default = Pages(directory)
        return

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    def not_built() -> HTMLResponse:
        return HTMLResponse(NOT_BUILT, headers={"content-security-policy": policy_of("")})
