"""An environment of its own for each peer, in `.bench/`, made when it is first needed or its requirements changed."""

import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BENCH = ROOT / ".bench"


def python_of(name: str) -> Path:
    """The interpreter of the environment of `peers/NAME.txt`; TORCH_INDEX is where torch comes from, as in `make setup`."""
    place, wanted = BENCH / name, (HERE / f"{name}.txt").read_text() + (ROOT / "constraints.txt").read_text()
    python, stamp = place / "bin" / "python", place / "ready"
    if not stamp.is_file() or stamp.read_text() != wanted:
        print(f"Setting up {place.relative_to(ROOT)} (once, some minutes) ...", file=sys.stderr, flush=True)
        venv.create(place, with_pip=True)
        index = os.environ.get("TORCH_INDEX")
        _install(python, *(["--index-url", index] if index else []), "torch")
        _install(python, "-r", str(HERE / f"{name}.txt"))
        stamp.write_text(wanted)
    return python


def _install(python: Path, *what: str) -> None:
    quiet = ["--disable-pip-version-check", "--quiet", "-c", str(ROOT / "constraints.txt")]
    subprocess.run([python, "-m", "pip", "install", *quiet, *what], check=True)
