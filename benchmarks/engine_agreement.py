"""Does llama.cpp compute what we train? `python benchmarks/engine_agreement.py`; exits 1 when a limit is broken.

For each sample model, an adapter is trained for a few steps and certified (`llmlora.certify.compare` says what the lines
mean and where the limits come from) over a text of 200 tokens; what training in bfloat16 computes is printed beside it.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from llmlora.adapter import read_adapter
from llmlora.certify.compare import Bench, compare
from llmlora.certify.numbers import distance, our_tables
from llmlora.certify.page import words_of_limit, words_of_measurement
from llmlora.certify.proof import ignore
from llmlora.certify.rows import material_of
from llmlora.demo.style import material
from llmlora.model.source import Base, resolve
from llmlora.recipe import make_recipe
from llmlora.settings import read_settings
from llmlora.train.run import train

MODELS = ("sample:smollm2-135m", "sample:gemma3-270m")
TOKENS = 200
TEXT = (
    "A river carries water from the hills to the sea. Where it is steep it runs fast and cuts into the rock; where the "
    "land is flat it slows down, drops the sand it has brought, and turns from side to side. People have always lived "
    "beside rivers: they drink from them, water their fields, and travel on them. 川は山から海へ水を運ぶ。"
    "急な所では速く流れて岩を削り、平らな所ではゆっくりになって砂を落とし、右へ左へと曲がる。"
    "人は昔から川のそばで暮らしてきた。水を飲み、畑を潤し、舟で旅をした。 In spring the snow melts, and the river rises. Every town along it keeps a mark of the highest flood, "
    "and every child learns where not to build a house. def flow(width, depth, speed): return width * depth * speed"
)


def main() -> int:
    settings, broken = read_settings(), 0
    for name in MODELS:
        with tempfile.TemporaryDirectory() as directory:
            base = resolve(name, settings.home, settings.ollama_stores)
            run = Path(directory) / "run"
            recipe = make_recipe({"model": name, "data": str(material().rows), "rank": 8, "steps": 8, "eval_split": 0})
            train(recipe, run, settings.home, settings.ollama_stores)
            print(name)
            broken += show(base, run, Path(directory))
    return int(broken > 0)


def show(base: Base, run: Path, directory: Path) -> int:
    adapter, found = read_adapter(run), material_of(run, base)
    ids = found.tokenizer.encode(TEXT)[:TOKENS]
    made = compare(Bench(run, adapter, base, replace(found, rows=[ids], prompts=[]), directory, ignore))
    for line in made.lines:
        facts = (words_of_measurement(line, "en"), words_of_limit(line, "en"))
        print(f"  {line.title!s:<62} {facts[0]:<18} {facts[1]:<10} {line.verdict}")
    assert made.beside
    rounded = our_tables(base.path, [ids], adapter, torch.bfloat16)[1]
    print(f"  with ours in bfloat16: mean {distance(rounded, made.beside.engine).mean:.4f}", flush=True)
    return sum(line.verdict == "broken" for line in made.lines)


if __name__ == "__main__":
    sys.exit(main())
