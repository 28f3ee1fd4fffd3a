"""Turns into text, by the model's chat template, in a process of its own (see `render_child`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from llmlora.child import ChildDiedError, JsonChild
from llmlora.data.conversation import Conversation, Turn
from llmlora.data.template import ChatTemplate
from llmlora.data.vocabulary import ENDS_OF_TURN
from llmlora.errors import TemplateFailed
from llmlora.text.catalogue import Words

START_SECONDS, ANSWER_SECONDS = 20.0, 2.0


@dataclass(frozen=True)
class Piece:
    """A stretch of the rendered text, and whether the model learns to write it."""

    text: str
    trained: bool


def end_of_turn(template: ChatTemplate) -> str:
    """The marker with which answers end in training.

    Raises:
        TemplateFailed: the template cannot write a question and an answer.
    """
    answer = "answer"
    with Renderer(template) as renderer:
        pieces = renderer.pieces(Conversation(1, (Turn("user", "question"), Turn("assistant", answer))))
    return "".join(piece.text for piece in pieces if piece.trained).partition(answer)[2]


class Renderer:
    """A running template; a context manager."""

    def __init__(self, template: ChatTemplate) -> None:
        self.template = template
        self._child: JsonChild | None = None

    def __enter__(self) -> Self:
        """Start the process and compile the template.

        Raises:
            TemplateFailed: it cannot be compiled.
        """
        self._child = JsonChild("llmlora.data.render_child")
        try:
            self._exchange(None, START_SECONDS)
            one = self.template
            texts = {"template": one.source, "bos": one.bos, "eos": one.eos}
            self._ask({"language": one.language, **texts, "ends": ENDS_OF_TURN})
        except TemplateFailed:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    @property
    def alive(self) -> bool:
        """Whether it can still answer; a template that loops or explodes takes its process with it."""
        return self._child is not None

    def pieces(self, conversation: Conversation) -> list[Piece]:
        """The exact text of a row: assistant turns with their end-of-turn marker are trained, the rest is masked,
        and so are answers that the row does not want learned.

        Raises:
            TemplateFailed: the template raises, loops, explodes, or rewrites earlier turns.
        """
        turns = conversation.turns
        if turns[0].role == "text":
            return [Piece(turns[0].content, trained=True)]
        answers = iter([turn.trained for turn in turns if turn.role == "assistant"])
        pieces = [Piece(text, trained and next(answers)) for text, trained in self._render(turns, prompt=False)]
        return [piece for piece in pieces if piece.text]

    def prompt(self, turns: Sequence[Turn]) -> str:
        """The text that asks the model for its next turn.

        Raises:
            TemplateFailed: as `pieces`.
        """
        return "".join(text for text, _ in self._render(turns, prompt=True))

    def _render(self, turns: Sequence[Turn], *, prompt: bool) -> list[tuple[str, bool]]:
        told = [(turn.role, turn.content) for turn in turns]
        if self.template.system and turns[0].role != "system":
            told.insert(0, ("system", self.template.system))
        answer = self._ask({"turns": told, "prompt": prompt})
        pieces: list[tuple[str, bool]] = answer["pieces"]
        return pieces

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        answer = self._exchange(request, ANSWER_SECONDS)
        if "error" in answer:
            raise _failed(answer["error"], answer["detail"])
        return answer

    def _exchange(self, request: dict[str, Any] | None, seconds: float) -> dict[str, Any]:
        if self._child is None:
            raise _failed("template_stopped")
        try:
            if request is not None:
                self._child.send(request)
            return self._child.receive(seconds)
        except TimeoutError:
            self._close()
            raise _failed("template_silent", f"{seconds:g}") from None
        except ChildDiedError as error:
            self._close()
            raise _failed("template_died", str(error)) from None

    def _close(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None


def _failed(code: str, detail: str = "") -> TemplateFailed:
    return TemplateFailed(Words(f"problems.{code}", {"detail": detail}))
