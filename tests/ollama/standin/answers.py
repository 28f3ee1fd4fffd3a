"""`/api/generate` and `/api/chat`: the prompt in force, then llama.cpp's completion of it.

The real server hands a conversation to llama-server's own chat route where the GGUF file's template is in force; here
it is `/apply-template` and a completion, which is the same text. Left out: images, tools, formats, thinking apart from
the answer and in Go templates, cutting long conversations short.

Source: server/routes.go (`GenerateHandler`, `ChatHandler`), llm/llama_server.go of Ollama.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from llmlora.data.go_template_syntax import GoTemplateError
from llmlora.data.ollama_template import OllamaTemplate
from llmlora.data.unusable import Unusable
from tests.ollama.standin.engines import Engine, Engines
from tests.ollama.standin.generations import Generation
from tests.ollama.standin.model import DEFAULT_TEMPLATE, Model
from tests.ollama.standin.refusal import Refused
from tests.ollama.standin.rendering import capabilities, uses_jinja
from tests.ollama.standin.store import Store, parse

Asked = dict[str, Any]
Turns = list[dict[str, Any]]
MOST_LOGPROBS = 20
DEFAULTS = {"num_predict": -1, "temperature": 0.8, "top_k": 40, "top_p": 0.9, "min_p": 0.0, "seed": -1}
DEFAULTS |= {"repeat_penalty": 1.0, "repeat_last_n": 64, "stop": []}
WINDOWS = 10  # an answer without an end is cut after so many contexts


@dataclass
class Answers:
    """What answers, and the renderers a test brings: by name, functions from turns to a prompt."""

    store: Store
    generation: Generation
    engines: Engines
    renderers: dict[str, Callable[[Turns], str]] = field(default_factory=dict)

    def generate(self, asked: Asked) -> Asked | Generator[Asked]:
        """`/api/generate`."""
        model = self._model(asked)
        end = {"model": asked["model"], "created_at": now(), "response": "", "done": True}
        if not asked.get("prompt") and asked.get("keep_alive") == 0:
            self.engines.unload(model)
            return {**end, "done_reason": "unload"}
        if asked.get("raw") and any(asked.get(key) for key in ("template", "system", "context")):
            raise Refused(400, "raw mode does not support template, system, or context")
        self._check_thinking(model, asked)
        options = {**DEFAULTS, **model.parameters, **asked.get("options", {})}
        engine = self.engines.get(model, options)
        if not asked.get("prompt"):
            return {**end, "done_reason": "load"}
        prompt = (
            asked["prompt"] if asked.get("raw") else self._prompt(model, engine, asked, generated_turns(model, asked))
        )
        if self._only_shown(asked):
            return {"model": asked["model"], "created_at": now(), "_debug_info": {"rendered_template": prompt}}
        return self._answer(model, engine, prompt, asked, options, lambda text: {"response": text})

    def chat(self, asked: Asked) -> Asked | Generator[Asked]:
        """`/api/chat`."""
        model, turns = self._model(asked), asked.get("messages") or []
        end = {"model": asked["model"], "created_at": now(), "message": {"role": "assistant", "content": ""}}
        if not turns and asked.get("keep_alive") == 0:
            self.engines.unload(model)
            return {**end, "done": True, "done_reason": "unload"}
        self._check_thinking(model, asked)
        options = {**DEFAULTS, **model.parameters, **asked.get("options", {})}
        engine = self.engines.get(model, options)
        if not turns:
            return {**end, "done": True, "done_reason": "load"}
        system = [{"role": "system", "content": text} for text in model.texts("system") if turns[0]["role"] != "system"]
        prompt = self._prompt(model, engine, asked, [*system, *model.messages, *turns])
        if self._only_shown(asked):
            return {"model": asked["model"], "created_at": now(), "_debug_info": {"rendered_template": prompt}}

        def said(text: str) -> Asked:
            return {"message": {"role": "assistant", "content": text}}

        return self._answer(model, engine, prompt, asked, options, said)

    def running(self) -> Asked:
        """`/api/ps`."""
        return {
            "models": [
                {
                    **{key: value for key, value in listed.items() if key != "modified_at"},
                    "size_vram": 0,
                    "expires_at": now(),
                    "context_length": engine.context,
                }
                for listed, engine in self.engines.models()
            ]
        }

    def _model(self, asked: Asked) -> Model:
        if not 0 <= asked.get("top_logprobs", 0) <= MOST_LOGPROBS:
            raise Refused(400, f"top_logprobs must be between 0 and {MOST_LOGPROBS}")
        return Model(self.store, parse(asked.get("model", ""), "model is required"))

    def _check_thinking(self, model: Model, asked: Asked) -> None:
        if asked.get("think") and "thinking" not in capabilities(model, self.generation):
            raise Refused(400, f'"{asked["model"]}" does not support thinking')

    def _only_shown(self, asked: Asked) -> bool:
        return bool(asked.get("_debug_render_only")) and self.generation.shows_prompt

    def _prompt(self, model: Model, engine: Engine, asked: Asked, turns: Turns) -> str:
        """The rendering in force: a renderer, a Go template, or the GGUF file's own, which llama.cpp renders."""
        name = model.config.get("renderer")
        if name:
            if name not in self.renderers:
                raise Refused(500, f"the stand-in has no renderer {name!r}; give it a function")
            return self.renderers[name](turns)
        if not asked.get("template") and uses_jinja(model, self.generation):
            body: Asked = {"messages": turns}
            if "thinking" in capabilities(model, self.generation):
                body["chat_template_kwargs"] = {"enable_thinking": asked.get("think") is not False}
            prompt: str = engine.ask("/apply-template", body)["prompt"]
            return prompt
        try:
            return OllamaTemplate(asked.get("template") or model.text("template") or DEFAULT_TEMPLATE).render(turns)
        except (GoTemplateError, Unusable) as error:
            raise Refused(500, str(error)) from None

    def _answer(
        self,
        model: Model,
        engine: Engine,
        prompt: str,
        asked: Asked,
        options: Asked,
        said: Callable[[str], Asked],
    ) -> Generator[Asked]:
        body = {key: options[key] for key in DEFAULTS if key not in ("num_predict", "stop")}
        most = WINDOWS * engine.context
        body["n_predict"] = most if options["num_predict"] < 0 else min(options["num_predict"], most)
        body["stop"] = [options["stop"]] if isinstance(options["stop"], str) else options["stop"]
        wanted = bool(asked.get("logprobs")) and self.generation.logprobs
        if wanted:
            body["n_probs"] = max(asked.get("top_logprobs", 0), 1)
        with closing(engine.completion({"prompt": prompt, "stream": True, "cache_prompt": True, **body})) as pieces:
            for piece in pieces:
                yield {
                    "model": asked["model"],
                    "created_at": now(),
                    **said(piece["content"]),
                    "done": piece["stop"],
                    **(_logprobs(piece, asked.get("top_logprobs", 0)) if wanted and not piece["stop"] else {}),
                    **(_end(piece) if piece["stop"] else {}),
                }
        if asked.get("keep_alive") == 0:
            self.engines.unload(model)


def whole(lines: Iterator[Asked]) -> Asked:
    """An answer that is not streamed: one object."""
    content, positions, last = "", [], {}
    for last in lines:
        content += last["message"]["content"] if "message" in last else last["response"]
        positions += last.get("logprobs", [])
    said = {"message": {**last["message"], "content": content}} if "message" in last else {"response": content}
    return {**last, **said, **({"logprobs": positions} if positions else {})}


def generated_turns(model: Model, asked: Asked) -> Turns:
    """What a prompt that is not raw becomes."""
    system = asked.get("system") or model.text("system")
    first = [{"role": "system", "content": system}] if system else []
    return [*first, *model.messages, {"role": "user", "content": asked["prompt"]}]


def now() -> str:
    """As Go writes it."""
    return datetime.now(UTC).isoformat()


def _end(piece: Asked) -> Asked:
    times = piece["timings"]
    return {
        "done_reason": "length" if piece["stop_type"] == "limit" else "stop",
        "total_duration": int((times["prompt_ms"] + times["predicted_ms"]) * 1e6),
        "prompt_eval_count": times["cache_n"] + times["prompt_n"],
        "prompt_eval_duration": int(times["prompt_ms"] * 1e6),
        "eval_count": times["predicted_n"],
        "eval_duration": int(times["predicted_ms"] * 1e6),
    }


def _logprobs(piece: Asked, top: int) -> Asked:
    def likely(entry: Asked) -> Asked:
        return {"token": entry["token"], "logprob": entry["logprob"], "bytes": entry["bytes"]}

    return {
        "logprobs": [
            likely(entry) | ({"top_logprobs": [likely(other) for other in entry["top_logprobs"]]} if top else {})
            for entry in piece.get("completion_probabilities", [])
        ]
    }
