"""What the routes work with, made once when the server starts."""

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from llmlora.api.hub import Hub
from llmlora.jobs.inspection import Inspection
from llmlora.model.source import Base, resolve
from llmlora.settings import Settings
from llmlora.store.database import Database
from llmlora.text.catalogue import Language
from llmlora.token import Token


@dataclass
class Context:
    """The parts that all requests share."""

    settings: Settings
    database: Database
    inspection: Inspection = field(init=False)
    token: Token = field(init=False)
    hub: Hub = field(init=False)

    def __post_init__(self) -> None:
        self.inspection = Inspection(self.settings)
        self.token = Token(self.settings.home.token)
        self.hub = Hub(self.database)

    def base(self, name: str) -> Base:
        """The base that `name` means. Nothing is downloaded while someone waits for an answer.

        Raises:
            UserError: see `resolve`.
        """
        return resolve(name, self.settings.home, self.settings.ollama_stores, fetch=False)

    def close(self) -> None:
        """End the child and the connections."""
        self.inspection.close()
        self.database.close()


def context_of(request: Request) -> Context:
    """The context of the app that serves this request."""
    context: Context = request.app.state.context
    return context


def language_of(request: Request) -> Language:
    """The reader's language: the first of Accept-Language that we speak, else Japanese."""
    for part in request.headers.get("accept-language", "").split(","):
        tag = part.split(";")[0].strip().lower()[:2]
        if tag == "ja":
            return "ja"
        if tag == "en":
            return "en"
    return "ja"


Here = Annotated[Context, Depends(context_of)]
Reader = Annotated[Language, Depends(language_of)]
