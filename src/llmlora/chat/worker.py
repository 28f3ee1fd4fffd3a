"""The process that runs llama.cpp. A failed assertion in native code ends this process, not its parent.

Reads JSON lines: first the setup {"model", "adapter", "context", "threads", "exact"}, then requests:

    {"complete": {…}, "adapted": bool}                     → {"text": …} …, {"done": finish reason}
    {"probabilities": [ids], "top": n, "adapted": bool}    → {"rows": [[[id, log probability], …], …]}
    {"cancel": true}                                       ends the completion that is running

and answers {"error": text} to what it cannot do. xllamacpp opens llama.cpp's HTTP server too, whatever one wants of it:
it gets a Unix socket in a private directory where there are any, and a key that nobody knows.
"""

import json
import os
import queue
import secrets
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import xllamacpp as llama

Params = dict[str, Any]


def main() -> None:
    """Serve until standard input ends."""
    _die_with_parent()
    # llama.cpp prints where it likes: standard output becomes standard error, the protocol keeps the real one
    protocol = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    requests: queue.Queue[Params] = queue.Queue()
    cancelled = threading.Event()
    threading.Thread(target=_listen, args=(requests, cancelled), daemon=True).start()

    def answer(message: Params) -> None:
        protocol.write(json.dumps(message) + "\n")
        protocol.flush()

    with tempfile.TemporaryDirectory(prefix="llmlora-chat-") as private:
        try:
            setup = requests.get()
            server = llama.Server(_parameters(setup, Path(private)))
        except (RuntimeError, ValueError) as error:
            answer({"error": str(error)})
            return
        worker = Worker(server, bool(setup["adapter"]), cancelled)
        answer({})
        while (request := requests.get()) != {}:
            cancelled.clear()
            if "complete" in request:
                worker.complete(request, answer)
            else:
                answer(worker.probabilities(request))


class Worker:
    """A loaded model."""

    def __init__(self, server: Any, has_adapter: bool, cancelled: threading.Event) -> None:
        self.server, self.has_adapter, self.cancelled = server, has_adapter, cancelled

    def complete(self, request: Params, answer: Any) -> None:
        """Stream one completion."""
        reason = "cancelled"

        def chunk(message: Params) -> bool:
            nonlocal reason
            if "error" in message:
                answer({"error": str(message["error"].get("message", message["error"]))})
                reason = ""
                return True
            choice = message["choices"][0]
            if choice["text"]:
                answer({"text": choice["text"]})
            reason = choice["finish_reason"] or reason
            return self.cancelled.is_set()

        self.server.handle_completions({**request["complete"], "stream": True, **self._lora(request)}, chunk)
        if reason:
            answer({"done": reason})

    def probabilities(self, request: Params) -> Params:
        """The likeliest tokens after each prefix; the engine's cache makes each prefix one step."""
        ids, rows = request["probabilities"], []
        for stop in range(1, len(ids) + 1):
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


def _parameters(setup: Params, private: Path) -> Any:
    parameters = llama.CommonParams()
    parameters.model.path = setup["model"]
    parameters.n_ctx, parameters.n_parallel = setup["context"], 1
    parameters.cpuparams.n_threads, parameters.cpuparams.poll = setup["threads"], 0  # wait without spinning
    parameters.warmup = parameters.fit_params = parameters.ui = False
    parameters.verbosity = 0
    parameters.endpoint_slots = parameters.endpoint_props = parameters.endpoint_metrics = False
    parameters.port, parameters.api_keys, parameters.cors_origins = 0, [secrets.token_hex(32)], ""
    if os.name == "posix":
        parameters.hostnames = [str(private / "socket.sock")]
    if setup["adapter"]:
        parameters.lora_adapters = [llama.CommonAdapterLoraInfo(setup["adapter"], 1.0)]
    if setup["exact"]:
        parameters.cache_type_k = parameters.cache_type_v = llama.ggml_type.GGML_TYPE_F32
        parameters.flash_attn_type = llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    return parameters


def _listen(requests: "queue.Queue[Params]", cancelled: threading.Event) -> None:
    for line in sys.stdin:
        request = json.loads(line)
        if "cancel" in request:
            cancelled.set()
        else:
            requests.put(request)
    cancelled.set()
    requests.put({})


def _die_with_parent() -> None:
    """A parent that is killed closes our input; Linux can also be asked for a signal, which reaches native code."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - only here

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


if __name__ == "__main__":
    main()
