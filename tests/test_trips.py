"""Whole ways, on the real sample models: what the READMEs promise."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.trip
BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def script(name: str, *words: str) -> str:
    result = subprocess.run(
        [sys.executable, str(BENCHMARKS / name), *words], capture_output=True, text=True, check=False, timeout=900
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_demo_teaches_the_style(sample_home):
    environment = {**os.environ, "LLMLORA_HOME": str(sample_home.root)}

    result = subprocess.run(
        [sys.executable, "-m", "llmlora", "demo", "--json"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["score"] >= 4
    assert all("ござる" not in answer["base"] for answer in told["answers"])


def test_the_engine_computes_what_we_train():
    assert " broken" not in script("engine_agreement.py")


def test_the_loss_falls_on_real_rows():
    assert "held-out loss" in script("loss_curve.py", "--steps", "24")
