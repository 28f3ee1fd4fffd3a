"""An app of some routers, as the server makes it but without its doors."""

from dataclasses import replace
from pathlib import Path

from fastapi import APIRouter, FastAPI

from llmlora.api.context import Context
from llmlora.api.errors import install
from llmlora.paths import Home
from llmlora.settings import read_settings
from llmlora.store.database import Database

NOBODY = "http://127.0.0.1:1"


def context_at(
    tmp_path: Path, home: Home | None = None, ollama: str = NOBODY, stores: tuple[Path, ...] = ()
) -> Context:
    """Settings and a database of a test's own. `home` is where samples are."""
    settings = replace(read_settings(), ollama_address=ollama, ollama_stores=stores, home=home or Home(tmp_path))
    return Context(settings, Database(f"sqlite:///{tmp_path / 'test.db'}"))


def app_of(context: Context, *routers: APIRouter) -> FastAPI:
    app = FastAPI()
    app.state.context = context
    install(app)
    for router in routers:
        app.include_router(router)
    return app
