"""What a run tells while it goes: one JSON object a line in `events.jsonl`, and the argument of `on_event`.

The file is the record: a resumed run cuts it back to its checkpoint, so steps have no gap and no repeat.
Times are seconds, memory is bytes, losses are nats per supervised token.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int
    seconds: float  # since the run (this attempt) began; display only


class Started(_Event):
    event: Literal["started"] = "started"
    total_steps: int
    rows: int
    eval_rows: int
    trainable_parameters: int
    total_parameters: int
    resumed_from: int | None


class Step(_Event):
    event: Literal["step"] = "step"
    epoch: float
    loss: float
    learning_rate: float
    grad_norm: float
    tokens: int
    supervised_tokens: int
    tokens_per_second: float
    memory: int
    eta_seconds: float


class Evaluated(_Event):
    event: Literal["evaluated"] = "evaluated"
    loss: float
    best: bool


class Sampled(_Event):
    event: Literal["sampled"] = "sampled"
    prompt: str
    answer: str


class Saved(_Event):
    event: Literal["saved"] = "saved"
    path: str


class Warned(_Event):
    event: Literal["warned"] = "warned"
    code: str
    detail: str


class Finished(_Event):
    event: Literal["finished"] = "finished"
    reason: Literal["done", "early_stopping"]
    loss: float
    eval_loss: float | None
    path: str


class Failed(_Event):
    event: Literal["failed"] = "failed"
    code: str
    message: str


Event = Annotated[
    Started | Step | Evaluated | Sampled | Saved | Warned | Finished | Failed, Field(discriminator="event")
]
EVENT: TypeAdapter[Event] = TypeAdapter(Event)
