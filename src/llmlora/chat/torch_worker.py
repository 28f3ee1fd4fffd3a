"""The process that runs a Hugging Face model in PyTorch, with the very code that trains it.

It is spoken to as `serving` describes, but for probabilities. The adapter is added to its layers as training adds it:
y + scaling · B(A x), with A and B in the number format the model computes in, each row then rescaled where it is DoRA.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import DynamicCache

from llmlora.adapter import Pair, read_adapter
from llmlora.chat.serving import Cancelled, Params, Refused, Reply, serve
from llmlora.data.hf_text import read_hf_tokenizer
from llmlora.failure import LlmloraError
from llmlora.model.device import DTYPES, probe_machine
from llmlora.model.hf import HfDirectory
from llmlora.model.hf_load import load_hf
from llmlora.model.packed import magnitude_of

PROMPT_TOKENS_A_STEP = 256  # between the steps of a long prompt we hear that it was cancelled
HALF = "\ufffd"  # how a character looks whose last bytes are still to come


class Worker:
    """A loaded model."""

    def __init__(self, setup: Params, cancelled: Cancelled) -> None:
        """Raises Refused when model or adapter cannot be used."""
        self.cancelled, self.adapted = cancelled, False
        try:
            directory = HfDirectory.open(Path(setup["model"]))
            self.tokenizer = read_hf_tokenizer(directory.path)
            self.model = load_hf(directory, DTYPES[probe_machine().dtype])
            if setup["adapter"]:
                self._attach(Path(setup["adapter"]))
        except LlmloraError as error:
            raise Refused(str(error)) from None
        torch.set_num_threads(setup["threads"])

    @torch.inference_mode()
    def answer(self, request: Params, reply: Reply) -> None:
        """Stream one completion."""
        self.adapted = request["adapted"]
        ask, sent, said = request["complete"], "", list[int]()
        for token in self._tokens(ask):
            if request in self.cancelled:
                reply({"done": "cancelled"})
                return
            if token is None:
                reply({"text": ""})  # while the prompt is read: we are alive
                continue
            said.append(token)
            text = self.tokenizer.decode(said)
            if not text.endswith(HALF):
                reply({"text": text[len(sent) :]})
                sent = text
        reply({"text": self.tokenizer.decode(said)[len(sent) :]})
        reply({"done": "length" if len(said) == ask["n_predict"] else "stop"})

    def _tokens(self, ask: Params) -> Iterator[int | None]:
        """The tokens of an answer, up to its end; None for each stretch of the prompt that has been read."""
        cache, states = DynamicCache(config=self.model.config), torch.empty(0)
        for ids in torch.split(torch.tensor(ask["prompt"]), PROMPT_TOKENS_A_STEP):
            states = self._read(ids, cache)
            yield None
        random = torch.Generator().manual_seed(ask["seed"])
        for place in range(ask["n_predict"]):
            logits = self.model.lm_head.logits(states[-1])
            token = draw(logits, ask["temperature"], ask["top_p"], random)
            if token in self.tokenizer.eot_ids:
                return
            yield token
            if place + 1 < ask["n_predict"]:
                states = self._read(torch.tensor([token]), cache)

    def _read(self, ids: Tensor, cache: DynamicCache) -> Tensor:
        states: Tensor = self.model.base_model(input_ids=ids[None], cache=cache, use_cache=True).last_hidden_state
        return states[0]

    def _attach(self, path: Path) -> None:
        for name, pair in read_adapter(path).pairs.items():
            try:
                layer = self.model.get_submodule(name)
            except AttributeError:
                raise Refused(f"the adapter is for another model: there is no {name}") from None
            layer.register_forward_hook(self._hook(layer, pair))

    def _hook(self, layer: nn.Module, pair: Pair) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
        exact = torch.from_numpy(pair.a), torch.from_numpy(pair.b)
        a, b = (half.to(self.model.dtype) for half in exact)
        magnitude = None if pair.magnitude is None else magnitude_of(layer)
        if magnitude is not None:
            magnitude.weight.data = torch.from_numpy(pair.magnitude)

        def add(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            if not self.adapted:
                return output
            y = torch.add(output, F.linear(F.linear(inputs[0], a), b), alpha=pair.scaling)
            return y if magnitude is None else magnitude(y, layer.bias, *exact, pair.scaling)

        return add


def draw(logits: Tensor, temperature: float, top_p: float, random: torch.Generator) -> int:
    """A token by its likelihood among the likeliest that together have `top_p`; the likeliest at temperature 0."""
    if temperature == 0:
        return int(logits.argmax())
    chances, order = torch.softmax(logits / temperature, dim=-1).sort(descending=True, stable=True)
    chances[chances.cumsum(-1) - chances >= top_p] = 0
    return int(order[torch.multinomial(chances, 1, generator=random)])


if __name__ == "__main__":
    serve(Worker)
