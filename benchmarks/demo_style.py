"""How often the demo's model answers in the style: `python benchmarks/demo_style.py [--prompts test|tuning]`.

Trains by the demo's recipe, then asks 20 prompts × 5 seeds through llama.cpp with the exported adapter. The recipe was
tuned on the tuning prompts; the test prompts were looked at afterwards.
"""

import argparse
import tempfile
import time
from pathlib import Path

from llmlora.chat.engine import Sampling
from llmlora.chat.session import Session
from llmlora.data.conversation import Turn
from llmlora.demo.run import SAMPLING, demo_recipe, forgetting
from llmlora.demo.style import in_style, material
from llmlora.export.adapter import export_adapter
from llmlora.settings import read_settings
from llmlora.train.prepare import prepare
from llmlora.train.run import start

SEEDS = range(5)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--prompts", choices=["test", "tuning"], default="test")
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE", help="change the recipe")
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    changes = dict(change.split("=", 1) for change in options.set)
    recipe = type(demo_recipe()).model_validate({**demo_recipe().model_dump(), **changes})
    prompts = getattr(material(), f"{options.prompts}_prompts")
    settings = read_settings()
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "out"
        prepared = prepare(recipe, settings.home, settings.ollama_stores)
        began = time.perf_counter()
        outcome = start(prepared, out)
        seconds = time.perf_counter() - began
        lost = forgetting(prepared)
        adapter = Path(directory) / "adapter.gguf"
        export_adapter(out, prepared.base, adapter)
        hits, asked, base_hits = 0, 0, 0
        with Session(prepared.base.path, adapter) as session:
            for prompt in prompts:
                for seed in SEEDS:
                    sampling = Sampling(SAMPLING.max_tokens, SAMPLING.temperature, SAMPLING.top_p, seed)
                    turns = (Turn("user", prompt),)
                    answer = "".join(session.answer(turns, sampling)).strip()
                    if seed == 0:
                        base = "".join(session.answer(turns, sampling, adapted=False))
                        base_hits += in_style(base.strip())
                    hits, asked = hits + in_style(answer), asked + 1
                    if options.show and (seed == 0 or not in_style(answer)):
                        print(f"  {'o' if in_style(answer) else 'x'} {prompt} → {answer!r}")
    print(f"training: {recipe.steps} steps, {seconds:.0f} s, loss {outcome.loss:.3f}")
    print(
        f"in style ({options.prompts} prompts × {len(SEEDS)} seeds): tuned {hits}/{asked}, base {base_hits}/{len(prompts)}"
    )
    print(f"loss on ordinary Japanese: before {lost.before:.3f}, after {lost.after:.3f}")


if __name__ == "__main__":
    main()
