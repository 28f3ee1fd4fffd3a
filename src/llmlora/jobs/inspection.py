"""Questions about data sets and plans, answered by a child (see `inspection_child`)."""

import threading
from dataclasses import dataclass, field
from typing import Any

from llmlora.child import ChildDiedError, JsonChild
from llmlora.errors import InspectionFailed
from llmlora.failure import revive
from llmlora.model.hf_hub import cache_directory
from llmlora.settings import Settings

ANSWER_SECONDS = 120.0


@dataclass
class Inspection:
    """The child, started with the first question; one question at a time."""

    settings: Settings
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _child: JsonChild | None = None

    def ask(self, question: str, **facts: Any) -> dict[str, Any]:
        """The answer to a question of `inspection_child.ANSWERS`.

        Raises:
            LlmloraError: the answer is this error.
            InspectionFailed: there was none in time, or the child died of the question.
        """
        with self._turn:
            try:
                child = self._child = self._child or self._start()
                child.send({"ask": question, **facts})
                answer = child.receive(ANSWER_SECONDS)
            except TimeoutError:
                self._end()
                raise InspectionFailed(f"no answer within {ANSWER_SECONDS:g} s") from None
            except ChildDiedError as error:
                self._end()
                raise InspectionFailed(str(error)) from None
        if "error" in answer:
            raise revive(answer["error"])
        told: dict[str, Any] = answer["answer"]
        return told

    def close(self) -> None:
        with self._turn:
            self._end()

    def _start(self) -> JsonChild:
        # it looks into the models that are here, and downloads none
        child = JsonChild("llmlora.jobs.inspection_child", {"HF_HUB_CACHE": str(cache_directory())})
        stores = [str(store) for store in self.settings.ollama_stores]
        setup = {"home": str(self.settings.home.root), "stores": stores, "ollama": self.settings.ollama_address}
        child.send(setup)
        return child

    def _end(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None
