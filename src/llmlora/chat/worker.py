"""The process that runs llama.cpp. A failed assertion in native code ends this process, not its parent.

It is spoken to as `serving` describes. xllamacpp opens llama.cpp's HTTP server too, whatever one wants of it: it gets a
key that nobody knows and, where there are any, a Unix socket in the private directory, which the parent removes as soon
as the model is loaded.
"""

import os
import re
import secrets
import time
from typing import Any

import xllamacpp as llama

from llmlora.chat.serving import Cancelled, Params, Refused, Reply, serve

PROMPT_TOKENS_A_STEP = 256  # between the steps of a long prompt we hear that it was cancelled
LOG_BYTES, LOG_SECONDS = 65536, 2.0
# "0.00.003.888 E cmn  common_init_: failed to load model"
COMPLAINT = re.compile(r"^[\d.]+ E (?:\w+ +)?\w+: +(.+)$", re.MULTILINE)
COMPLAINTS = 2


class Worker:
    """A loaded model."""

    def __init__(self, setup: Params, cancelled: Cancelled) -> None:
        """Raises Refused, with llama.cpp's own words."""
        try:
            self.server = llama.Server(_parameters(setup))
        except (RuntimeError, ValueError) as error:
            raise Refused(_first_complaints() or str(error)) from None
        self.has_adapter, self.cancelled = bool(setup["adapter"]), cancelled

    def answer(self, request: Params, reply: Reply) -> None:
        """Do what is asked."""
        if "complete" in request:
            self.complete(request, reply)
        else:
            reply({"done": "read", **self.probabilities(request)})

    def complete(self, request: Params, reply: Reply) -> None:
        """Stream one completion."""
        final: Params = {"done": "cancelled"}

        def chunk(message: Params) -> bool:
            nonlocal final
            if "error" in message:
                final = {"done": "failed", "error": str(message["error"].get("message", message["error"]))}
                return True
            choice = message["choices"][0] if message.get("choices") else {"text": "", "finish_reason": None}
            reply({"text": choice["text"]})  # an empty one, while the prompt is read, says that we are alive
            if choice["finish_reason"]:
                final = {"done": choice["finish_reason"]}
            return request in self.cancelled

        ask = {**request["complete"], "stream": True, "return_progress": True, **self._lora(request)}
        if request not in self.cancelled:
            self.server.handle_completions(ask, chunk)
        reply(final)

    def probabilities(self, request: Params) -> Params:
        """The likeliest tokens after each prefix; the engine's cache makes each prefix one step."""
        ids, rows = request["probabilities"], []
        for stop in range(1, len(ids) + 1):
            if request in self.cancelled:
                break
            ask = {"prompt": ids[:stop], "n_predict": 1, "temperature": 0, "n_probs": request["top"]}
            result = self.server.handle_completions({**ask, **self._lora(request)})
            if "error" in result:
                return {"error": str(result["error"]["message"])}
            # a token that is half a character is not shown, and its probabilities with it
            found = (result["choices"][0]["logprobs"] or {}).get("content") or [{"top_logprobs": []}]
            rows.append([[entry["id"], entry["logprob"]] for entry in found[0]["top_logprobs"]])
        return {"rows": rows}

    def _lora(self, request: Params) -> Params:
        return {"lora": [{"id": 0, "scale": float(request["adapted"])}]} if self.has_adapter else {}


def _parameters(setup: Params) -> Any:
    parameters = llama.CommonParams()
    parameters.model.path = setup["model"]
    parameters.n_ctx, parameters.n_parallel = setup["context"], 1
    parameters.n_batch = PROMPT_TOKENS_A_STEP
    parameters.cpuparams.n_threads, parameters.cpuparams.poll = setup["threads"], 0  # wait without spinning
    parameters.warmup = parameters.fit_params = parameters.ui = False
    parameters.verbosity = 1  # errors, on standard error
    parameters.endpoint_slots = parameters.endpoint_props = parameters.endpoint_metrics = False
    parameters.port, parameters.api_keys, parameters.cors_origins = 0, [secrets.token_hex(32)], ""
    if os.name == "posix":
        os.chdir(setup["private"])  # the path of a socket is short, that of a directory may not be
        parameters.hostnames = ["socket.sock"]
    if setup["adapter"]:
        parameters.lora_adapters = [llama.CommonAdapterLoraInfo(setup["adapter"], 1.0)]
    if setup["exact"]:
        parameters.cache_type_k = parameters.cache_type_v = llama.ggml_type.GGML_TYPE_F32
        parameters.flash_attn_type = llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    return parameters


def _first_complaints() -> str:
    """What llama.cpp says first when it refuses a file is why; the rest only says that it did.

    It logs from a thread of its own, which may be behind on a busy machine.
    """
    limit = time.monotonic() + LOG_SECONDS
    while len(complaints := COMPLAINT.findall(_log())) < COMPLAINTS and time.monotonic() < limit:
        time.sleep(0.01)
    return "; ".join(complaints[:COMPLAINTS])


def _log() -> str:
    try:
        # the place where the log goes on stays where it is: a thread may be writing
        return os.pread(2, LOG_BYTES, 0).decode("utf-8", "replace")
    except (OSError, AttributeError):  # standard error is no file, or the system is Windows
        return ""


if __name__ == "__main__":
    serve(Worker)
