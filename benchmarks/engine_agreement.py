"""Does llama.cpp compute what we train? `python benchmarks/engine_agreement.py`; exits 1 when a limit is broken.

For each sample model, an adapter is trained for a few steps and log probabilities over a text of 200 tokens are
compared (tokens likelier than e⁻⁶):

    weights      ours in float32 against llama.cpp on an F32 copy of the same weights, float32 cache: at most 0.02
                 apart, without adapter, with the exported adapter, and for the merged file
    noise        llama.cpp on the quantised file rounds activations to 8 bits: its mean distance to its own F32 copy
    quantised    ours against llama.cpp on the quantised file: mean at most 1.1 × that noise (bfloat16 beside it)
    merged       llama.cpp on the merged file against base + adapter, both as F32 copies: reported
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from llmlora.certify import Distance, distance, float_copy, log_probabilities
from llmlora.chat.engine import Engine, EngineOptions
from llmlora.data.tokenizer import load_tokenizer
from llmlora.demo.style import material
from llmlora.export.adapter import export_adapter
from llmlora.export.merged import export_merged
from llmlora.gguf.reader import GgufFile
from llmlora.model.form import architecture_of
from llmlora.model.load import load_model
from llmlora.model.lora import add_lora, load_adapter_state
from llmlora.model.source import Base, resolve
from llmlora.recipe import make_recipe
from llmlora.settings import read_settings
from llmlora.train.run import train

MODELS = ("sample:smollm2-135m", "sample:gemma3-270m")
TOKENS = 200
LIMIT, NOISE_FACTOR = 0.02, 1.1
TEXT = (
    "A river carries water from the hills to the sea. Where it is steep it runs fast and cuts into the rock; where the "
    "land is flat it slows down, drops the sand it has brought, and turns from side to side. People have always lived "
    "beside rivers: they drink from them, water their fields, and travel on them. 川は山から海へ水を運ぶ。"
    "急な所では速く流れて岩を削り、平らな所ではゆっくりになって砂を落とし、右へ左へと曲がる。"
    "人は昔から川のそばで暮らしてきた。水を飲み、畑を潤し、舟で旅をした。 In spring the snow melts, and the river rises. Every town along it keeps a mark of the highest flood, "
    "and every child learns where not to build a house. def flow(width, depth, speed): return width * depth * speed"
)


@dataclass(frozen=True)
class Line:
    """One comparison and its limit, if it has one."""

    what: str
    found: Distance
    limit: float | None = None
    by_mean: bool = False

    @property
    def broken(self) -> bool:
        return self.limit is not None and (self.found.mean if self.by_mean else self.found.most) > self.limit

    def __str__(self) -> str:
        limit = "" if self.limit is None else f"{'mean' if self.by_mean else 'max'} ≤ {self.limit:.4f}"
        verdict = "" if self.limit is None else ("BROKEN" if self.broken else "ok")
        return f"  {self.what:<58} mean {self.found.mean:.5f}  max {self.found.most:.5f}  {limit} {verdict}"


def main() -> int:
    settings, broken = read_settings(), 0
    for name in MODELS:
        with tempfile.TemporaryDirectory() as directory:
            base = resolve(name, settings.home, settings.ollama_stores)
            run = Path(directory) / "run"
            recipe = make_recipe({"model": name, "data": str(material().rows), "rank": 8, "steps": 8, "eval_split": 0})
            train(recipe, run, settings.home, settings.ollama_stores)
            print(name)
            for line in compare(base, run, Path(directory)):
                print(line, flush=True)
                broken += line.broken
    return int(broken > 0)


def compare(base: Base, run: Path, directory: Path) -> list[Line]:
    with GgufFile(base.path) as file:
        ids = load_tokenizer(file).encode(TEXT)[:TOKENS]
    adapter, merged = directory / "adapter.gguf", directory / "merged.gguf"
    export_adapter(run, base, adapter)
    export_merged(run, base, merged)
    exact = directory / "exact.gguf"
    float_copy(base.path, exact)
    plain, tuned = ours(base.path, None, ids), ours(base.path, run, ids)
    with Engine(exact, adapter, EngineOptions(context=512, exact=True)) as engine:
        engine_plain = engine.log_probabilities(ids, adapted=False)
        engine_tuned = engine.log_probabilities(ids)
    float_copy(merged, exact)
    with Engine(exact, None, EngineOptions(context=512, exact=True)) as engine:
        engine_merged = engine.log_probabilities(ids)
    with Engine(base.path, adapter, EngineOptions(context=512)) as engine:
        served_plain = engine.log_probabilities(ids, adapted=False)
        served_tuned = engine.log_probabilities(ids)
    noise = [
        distance(dense(plain, one), two) for one, two in ((engine_plain, served_plain), (engine_tuned, served_tuned))
    ]
    return [
        Line("weights: base", distance(plain, engine_plain), LIMIT),
        Line("weights: base + adapter", distance(tuned, engine_tuned), LIMIT),
        Line("weights: merged file", distance(ours(merged, None, ids), engine_merged), LIMIT),
        Line("engine's noise: base", noise[0]),
        Line("engine's noise: base + adapter", noise[1]),
        Line(
            "quantised: base, ours float32", distance(plain, served_plain), NOISE_FACTOR * noise[0].mean, by_mean=True
        ),
        Line(
            "quantised: + adapter, ours float32",
            distance(tuned, served_tuned),
            NOISE_FACTOR * noise[1].mean,
            by_mean=True,
        ),
        Line("quantised: base, ours bfloat16", distance(ours(base.path, None, ids, torch.bfloat16), served_plain)),
        Line("quantised: + adapter, ours bfloat16", distance(ours(base.path, run, ids, torch.bfloat16), served_tuned)),
        Line("merged against base + adapter, in the engine", distance(dense(tuned, engine_merged), engine_tuned)),
    ]


def ours(path: Path, run: Path | None, ids: list[int], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Our log probabilities, with the adapter of a run or without."""
    with GgufFile(path) as file:
        model = load_model(file, dtype)
        if run is not None:
            recipe = make_recipe({"model": "-", "data": "-", "rank": 8})
            adapted = add_lora(model, recipe, architecture_of(file).targets)
            load_adapter_state(adapted, load_file(run / "final_model" / "adapter_model.safetensors"))
        return log_probabilities(model, ids)


def dense(like: torch.Tensor, table: list[dict[int, float]]) -> torch.Tensor:
    """An engine's table as a tensor; what it did not list is taken from `like`."""
    filled = like.clone()
    for position, row in enumerate(table):
        filled[position, list(row)] = torch.tensor(list(row.values()))
    return filled


if __name__ == "__main__":
    sys.exit(main())
