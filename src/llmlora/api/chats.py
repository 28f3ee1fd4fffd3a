"""Conversations with a base, or with what a training job made of it."""

import time
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self, cast

import anyio
import anyio.lowlevel
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator
from starlette.concurrency import run_in_threadpool

from llmlora.api.artefacts import base_name_of_job, succeeded
from llmlora.api.context import Context, Here, Reader
from llmlora.api.engines import Outlook, Pool, lifespan
from llmlora.api.errors import Problem
from llmlora.api.labels import Id, Label
from llmlora.api.speakers import EngineBody, Speaker, engines_for, speaker_for
from llmlora.api.stream import EventStream, event
from llmlora.chat.dialogue import Dialogue
from llmlora.chat.engine import Sampling
from llmlora.chat.served import Choice, Side
from llmlora.data.conversation import Turn
from llmlora.errors import NotFound
from llmlora.failure import LlmloraError
from llmlora.model.hf import need_trainable
from llmlora.store import chats
from llmlora.store.chats import Chat
from llmlora.text.catalogue import Language

router = APIRouter(prefix="/api/chats", tags=["chats"], lifespan=lifespan)

Prose = Annotated[str, Field(max_length=100_000, pattern="^[^\\x00]*$")]
JobId = Annotated[str, Field(pattern="^[a-z0-9]{1,32}$")]
ModelName = Annotated[str, Field(min_length=1, max_length=1000)]


class ChatRequest(BaseModel):
    """With whom to talk: a base by its `model`, or the result of a training job. The name may be left out."""

    model_config = ConfigDict(extra="forbid")

    name: Label | None = None
    model: ModelName | None = None
    job_id: JobId | None = None
    system: Prose = ""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.model is None) == (self.job_id is None):
            raise ValueError("give either model or job_id")
        return self


class ChangeRequest(BaseModel):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    name: Label | None = None
    system: Prose | None = None


class MessageRequest(BaseModel):
    """What to say and how the answer is drawn. `compare` asks the base too, with the same seed.

    `engine` is who shall answer: Ollama where it has the very model, or else the embedded one; with `ollama` or
    `llama.cpp` that one or nobody.

    `replaces` is the place of the last question among the turns: it is asked anew, and what was said to it forgotten.
    Where another question has come last meanwhile, nothing is.
    """

    model_config = ConfigDict(extra="forbid")

    content: Annotated[Prose, Field(min_length=1)]
    temperature: Annotated[float, Field(ge=0, le=5)] = 0.7
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    max_tokens: Annotated[int, Field(ge=1, le=2048)] = 512
    seed: Annotated[int, Field(ge=0, le=2**32 - 2)] = 0  # llama.cpp takes 2³² - 1 for “any”
    stop: Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=8)] = []
    engine: Choice = "auto"
    adapted: bool = True
    compare: bool = False
    replaces: Annotated[int | None, Field(ge=0)] = None


class TurnBody(BaseModel):
    """An utterance. Of an answer: whether the adapter was at work, what answered, its cost, and how it was drawn."""

    role: Literal["user", "assistant"]
    content: str
    adapted: bool | None = None
    engine: str | None = None
    seconds: float | None = None
    tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None


class ChatSummary(BaseModel):
    id: str
    name: str
    model: str
    job_id: str | None
    system: str
    created_at: float
    updated_at: float


class ChatBody(ChatSummary):
    turns: list[TurnBody]


class Waiting(BaseModel):
    """Event `waiting`, the first: for an engine that answers someone else, for one to be loaded, or for the answer of
    this `engine`.
    """

    outlook: Outlook
    engine: str


class Token(BaseModel):
    """Event `token`: the next piece of an answer."""

    side: Side
    text: str


class Answer(BaseModel):
    """What one side said, and what answered; `whole` unless it was stopped."""

    side: Side
    engine: str
    text: str
    seconds: float
    tokens: int
    whole: bool = False


class Done(BaseModel):
    """Event `done`: the whole answers."""

    answers: list[Answer]


class ChatEvent(RootModel[Waiting | Token | Done | Problem]):
    """The data of an event: `waiting`, `token`, `done`, or `error`, which is a problem."""


@router.post("", status_code=201)
def create_chat(here: Here, asked: ChatRequest) -> ChatBody:
    """Begin a conversation."""
    if asked.job_id is not None:
        job = succeeded(here, asked.job_id)
        model, name = base_name_of_job(here, job), job.name
    else:
        base = here.base(asked.model or "")
        if not base.is_gguf:
            need_trainable(base.path, base.name)
        model = name = base.name
    with here.database.writing() as connection:
        return _body(chats.add(connection, asked.name or name[:200], model, asked.job_id, asked.system))


@router.get("")
def list_chats(here: Here) -> list[ChatSummary]:
    """All conversations, the one last talked to first."""
    with here.database.reading() as connection:
        return [ChatSummary(**_body(one).model_dump(exclude={"turns"})) for one in chats.listed(connection)]


@dataclass
class With:
    """Whom one wants to talk to: a base, or the result of a job, by itself or beside its base."""

    model: ModelName | None = None
    job_id: JobId | None = None
    adapted: bool = True
    compare: bool = False


@router.get("/engines")
def list_engines(here: Here, reader: Reader, asked: Annotated[With, Depends()]) -> list[EngineBody]:
    """What can answer, the one that `auto` takes first; and why another cannot."""
    job = succeeded(here, asked.job_id) if asked.job_id else None
    name = base_name_of_job(here, job) if job else asked.model or ""
    return engines_for(here, reader, name, asked.job_id, _sides(asked.job_id, asked))


@router.get("/{chat_id}")
def get_chat(here: Here, chat_id: Id) -> ChatBody:
    """A conversation with all that was said."""
    return _body(_chat(here, chat_id))


@router.patch("/{chat_id}")
def change_chat(here: Here, chat_id: Id, asked: ChangeRequest) -> ChatBody:
    """Give a conversation another name or system prompt."""
    with here.database.writing() as connection:
        changed = chats.change(connection, chat_id, **asked.model_dump(exclude_none=True))
    if changed is None:
        raise NotFound("chat", chat_id)
    return _body(changed)


@router.delete("/{chat_id}", status_code=204)
def delete_chat(here: Here, chat_id: Id) -> Response:
    """Delete a conversation."""
    with here.database.writing() as connection:
        if not chats.remove(connection, chat_id):
            raise NotFound("chat", chat_id)
    return Response(status_code=204)


@router.post("/{chat_id}/messages", response_class=EventStream, responses={200: {"model": ChatEvent}})
def send_message(here: Here, reader: Reader, pool: Pool, chat_id: Id, asked: MessageRequest) -> EventStream:
    """Say something and hear the answer as events. Closing the connection ends the answer; what was said is kept."""
    chat = _chat(here, chat_id)
    speaker = speaker_for(here, pool, chat, _sides(chat.job_id, asked), asked.engine)
    return EventStream(_answer(here, reader, speaker, chat, asked))


async def _answer(
    here: Context, reader: Language, speaker: Speaker, chat: Chat, asked: MessageRequest
) -> AsyncGenerator[str]:
    known = replace(chat, turns=_before(chat.turns, asked.replaces))
    answers: list[Answer] = []
    failure: Problem | None = None
    try:
        yield event("waiting", Waiting(outlook=await speaker.outlook(), engine=speaker.name))
        async with speaker.using() as dialogue:
            for side in _sides(chat.job_id, asked):
                one = Answer(side=side, engine=dialogue.engine_name(side == "tuned"), text="", seconds=0, tokens=0)
                answers.append(one)
                async with aclosing(_pieces(dialogue, known, asked, one)) as pieces:
                    async for piece in pieces:
                        yield event("token", Token(side=side, text=piece))
                one.whole = True
    except LlmloraError as error:
        failure = Problem(code=error.code, message=error.message(reader), hint=error.hint(reader))
    finally:
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(_remember, here, chat.id, asked, answers)
    yield event("error", failure) if failure else event("done", Done(answers=answers))


async def _pieces(dialogue: Dialogue, chat: Chat, asked: MessageRequest, one: Answer) -> AsyncGenerator[str]:
    """An answer, written down in `one`, each piece awaited in a thread; closing this ends the writing."""
    dialogue.first = (Turn("system", chat.system),) if chat.system else ()
    dialogue.turns = (*dialogue.first, *said_to(chat.turns, one.side))
    sampling = Sampling(asked.max_tokens, asked.temperature, asked.top_p, asked.seed, tuple(asked.stop))
    answer = cast("Generator[str]", dialogue.ask(asked.content, sampling, adapted=one.side == "tuned"))
    began = time.monotonic()
    try:
        while (piece := await run_in_threadpool(next, answer, None)) is not None:
            await anyio.lowlevel.checkpoint_if_cancelled()  # what nobody hears any more is not kept
            one.text += piece
            one.seconds = time.monotonic() - began
            yield piece
    finally:
        one.tokens = dialogue.tokens_of(one.text)
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(answer.close)


def said_to(turns: Sequence[dict[str, Any]], side: Side) -> list[Turn]:
    """The conversation as one side knows it: after each question its own answer, or else the other's."""
    known: list[Turn] = []
    own = False
    for turn in turns:
        if turn["role"] == "user":
            own = False
            known.append(Turn("user", turn["content"]))
        elif known[-1].role == "user":
            own = turn["adapted"] == (side == "tuned")
            known.append(Turn("assistant", turn["content"]))
        elif not own and turn["adapted"] == (side == "tuned"):
            known[-1] = Turn("assistant", turn["content"])
    return known


def _sides(job_id: str | None, asked: MessageRequest | With) -> tuple[Side, ...]:
    if job_id is None:
        return ("base",)
    if asked.compare:
        return ("tuned", "base")
    return ("tuned",) if asked.adapted else ("base",)


def _remember(here: Context, chat_id: str, asked: MessageRequest, answers: Sequence[Answer]) -> None:
    """Keep a question with what was said to it; one that nobody answered can be asked again."""
    said = [_turn(asked, one) for one in answers if one.text or one.whole]
    if not said:
        return
    with here.database.writing() as connection:
        if chat := chats.fetch(connection, chat_id):  # not deleted meanwhile
            before = _before(chat.turns, asked.replaces)
            chats.change(connection, chat_id, turns=[*before, {"role": "user", "content": asked.content}, *said])


def _turn(asked: MessageRequest, answer: Answer) -> dict[str, Any]:
    drawn = asked.model_dump(include={"temperature", "seed"})
    told = answer.model_dump(include={"engine", "seconds", "tokens"})
    return {"role": "assistant", "content": answer.text, "adapted": answer.side == "tuned", **told, **drawn}


def _before(turns: list[dict[str, Any]], replaced: int | None) -> list[dict[str, Any]]:
    """The turns without the last question and its answers, if that is the one to be replaced."""
    last = max((place for place, turn in enumerate(turns) if turn["role"] == "user"), default=None)
    return turns[:last] if replaced is not None and replaced == last else turns


def _chat(here: Context, chat_id: str) -> Chat:
    with here.database.reading() as connection:
        one = chats.fetch(connection, chat_id)
    if one is None:
        raise NotFound("chat", chat_id)
    return one


def _body(chat: Chat) -> ChatBody:
    return ChatBody(**vars(chat))
