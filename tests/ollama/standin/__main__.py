"""`make ollama-standin`: a stand-in with the sample models, for whoever wants to try what needs Ollama."""

import argparse
import json
import signal
import sys
import tempfile
import threading
from pathlib import Path

from llmlora.model.source import resolve
from llmlora.paths import Home
from tests.ollama.standin.generations import GENERATIONS, NEWEST
from tests.ollama.standin.pull import Published, fill
from tests.ollama.standin.server import ollama_standin
from tests.ollama.standin.store import Store, go_json

# with the Go templates that Ollama's own library has for such models
MODELS = {
    "smollm2:135m": ("sample:smollm2-135m", "chatml", ["<|im_start|>", "<|im_end|>"]),
    "gemma3:270m": ("sample:gemma3-270m", "gemma3-instruct", ["<start_of_turn>", "<end_of_turn>"]),
}
TEMPLATES = Path(__file__).parents[2] / "data" / "go_templates" / "ollama.json"
TEXT = """\
This is not Ollama: it is llmlora's stand-in for one, for tests. It behaves as Ollama {version} does ("{name}").
It listens at {address} and serves {models}.
In another terminal:

  export OLLAMA_HOST={address} OLLAMA_MODELS={store}

Ctrl-C ends it."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make ollama-standin", description=__doc__)
    parser.add_argument("store", nargs="?", type=Path, help="where it keeps its models (a temporary directory)")
    parser.add_argument("--generation", choices=GENERATIONS, default=NEWEST)
    parser.add_argument("--port", type=int, default=11434)
    asked = parser.parse_args()
    for sign in (signal.SIGINT, signal.SIGTERM):  # a shell may have us ignore the first
        signal.signal(sign, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="ollama-standin-") as temporary:
        directory = (asked.store or Path(temporary)).absolute()
        _fill(Store(directory))
        with ollama_standin(directory, asked.generation, port=asked.port) as running:
            _tell(running.generation.name, running.generation.version, running.address, directory)
            try:
                threading.Event().wait()
            except KeyboardInterrupt:
                print()


def _fill(store: Store) -> None:
    home = Home(Path(sys.prefix) / "sample-models")  # where the tests keep them
    templates = json.loads(TEMPLATES.read_text())
    for name, (sample, template, stop) in MODELS.items():
        base = resolve(sample, home, ())
        texts = {"template": templates[template]["template"], "license": base.license or ""}
        layers = {kind: text.encode() for kind, text in texts.items()}
        fill(store, name, Published(base.path, {**layers, "params": go_json({"stop": stop})}))


def _tell(name: str, version: str, address: str, store: Path) -> None:
    print(
        TEXT.format(name=name, version=version, address=address, store=store, models=" and ".join(MODELS)), flush=True
    )


if __name__ == "__main__":
    main()
