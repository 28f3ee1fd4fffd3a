"""The application: all routes behind one door."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel

from llmlora import __version__
from llmlora.api import (
    artefacts,
    chats,
    datasets,
    errors,
    events,
    jobs,
    models,
    pages,
    recipes,
    records,
    registrations,
    rows,
    session,
    system,
)
from llmlora.api.context import Context
from llmlora.api.errors import ErrorBody
from llmlora.api.guard import Guard

ROUTERS = (session, datasets, rows, models, recipes, jobs, records, artefacts, registrations, events, chats, system)
REFUSALS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorBody, "description": "What is wrong, and what to do"}
}


class Health(BaseModel):
    """That the server answers."""

    status: str = "ok"
    version: str = __version__


def create_server(context: Context, allowed_hosts: frozenset[str] = frozenset()) -> Guard:
    """The application behind its door; loopback names and `allowed_hosts` are answered."""
    return Guard(create_app(context), context.token, allowed_hosts)


def create_app(context: Context) -> FastAPI:
    """The application for these settings and this database, without its door."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await context.hub.start()
        yield
        await context.hub.stop()
        context.close()

    app = FastAPI(
        title="llmlora",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        responses=REFUSALS,
        generate_unique_id_function=_operation_id,
    )
    app.state.context = context
    errors.install(app)
    app.get("/healthz", tags=["system"])(healthz)
    for module in ROUTERS:
        app.include_router(module.router)
    pages.install(app)
    return app


def healthz() -> Health:
    """Whether the server answers; open to all who reach it."""
    return Health()


def _operation_id(route: APIRoute) -> str:
    return route.name
