"""Signing in: the token is traded for a cookie, once a browser."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from llmlora.api.context import Context, Here
from llmlora.api.guard import cookie_name

router = APIRouter(prefix="/api/session", tags=["session"])

YEAR_SECONDS = 365 * 24 * 3600


class SignIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    token: Annotated[str, Field(max_length=200)]


class Session(BaseModel):
    """The token, for those who may already see everything: it is the one to write on a second device."""

    token: str


@router.post("", status_code=204)
def sign_in(here: Here, request: Request, body: SignIn) -> Response:
    """Trade the token for a cookie."""
    address = request.client.host if request.client else ""
    if not here.token.accepts(body.token):
        if here.token.too_many_failures(address):
            raise HTTPException(429, headers={"retry-after": "60"})
        raise HTTPException(401)
    return _with_cookie(here, request, Response(status_code=204))


@router.get("")
def get_session(here: Here) -> Session:
    """Whether one is signed in: 401 says no."""
    return Session(token=here.token.value)


@router.delete("", status_code=204)
async def sign_out_everywhere(here: Here, request: Request) -> Response:
    """A new token: all other browsers and scripts have to sign in again, this one stays."""
    here.token.renew()
    here.hub.hang_up()  # an open stream asks for no secret any more
    return _with_cookie(here, request, Response(status_code=204))


def _with_cookie(here: Context, request: Request, response: Response) -> Response:
    response.set_cookie(
        cookie_name(request.scope),
        here.token.cookie,
        max_age=YEAR_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response
