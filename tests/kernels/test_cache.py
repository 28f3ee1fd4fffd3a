"""Compiled kernels are kept on the disk where that is possible, and work where it is not."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.kernels.blocks import ordinary

import llmlora
from llmlora.kernels import fast, reference
from llmlora.kernels.compiled import compiled

PROGRAM = """
import hashlib, torch
from llmlora.kernels import fast
from tests.kernels.blocks import ordinary
print(fast.__file__, hashlib.sha256(ordinary("Q4_K", 3, 512).dense(torch.float32).numpy()).hexdigest())
"""


BASELINE = """
import torch
from llmlora.ggml import BY_NAME
from llmlora.kernels import reference
from llmlora.kernels.dequantise import PackedMatrix
from tests.kernels.blocks import strange
for name in ("Q5_0", "Q6_K", "IQ4_NL"):
    matrix = PackedMatrix(strange(name, 64), BY_NAME[name])
    wanted = reference.dequantise(torch.from_numpy(matrix.blocks), matrix.kind).bfloat16()
    found = matrix.dense(torch.bfloat16)
    numbers = ~wanted.isnan()
    assert torch.equal(found.isnan(), ~numbers) and torch.equal(found[numbers], wanted[numbers]), name
"""


def start(sources: Path, program: str = PROGRAM, **environment: str) -> subprocess.Popen[str]:
    """A fresh process that imports llmlora from `sources` and prints the file of its kernels and a digest."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        env=os.environ | {"PYTHONPATH": f"{sources}{os.pathsep}{Path(__file__).parent}"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def printed(process: subprocess.Popen[str]) -> list[str]:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    return output.split()


@pytest.fixture(scope="module")
def digest() -> str:
    matrix = ordinary("Q4_K", 3, 512)
    weights = reference.dequantise(torch.from_numpy(matrix.blocks), matrix.kind)
    return hashlib.sha256(weights.numpy()).hexdigest()


def test_a_function_that_cannot_be_cached_is_compiled_all_the_same():
    scope = {}
    exec("def twice(x):\n    return x + x", scope)  # noqa: S102 - a function without a file, so without a cache

    assert compiled(scope["twice"])(21) == 42


def test_functions_are_cached_beside_their_file_or_for_the_user():
    assert fast.FORMATS["Q4_K"]._cache.cache_path


def test_what_is_cached_belongs_to_these_sources_and_no_others(tmp_path: Path):
    package = tmp_path / "llmlora"
    shutil.copytree(Path(llmlora.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__", "web"))
    program = "from llmlora.kernels import fast; print(fast.FORMATS['Q4_K']._cache.cache_path)"
    before = printed(start(tmp_path, program))

    with (package / "kernels" / "vectors.py").open("a") as file:
        file.write("# changed, and fast.py is not\n")

    assert printed(start(tmp_path, program)) != before


def test_the_least_processor_of_its_kind_unpacks_the_same_bits(tmp_path: Path):
    program = start(
        Path(llmlora.__file__).parents[1], BASELINE, NUMBA_CPU_NAME="generic", NUMBA_CACHE_DIR=str(tmp_path)
    )

    assert printed(program) == []


@pytest.mark.slow
def test_two_fresh_processes_compile_into_one_empty_cache_at_once(tmp_path: Path, digest: str):
    sources = Path(llmlora.__file__).parents[1]
    processes = [start(sources, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2)]

    assert [printed(process)[1] for process in processes] == [digest, digest]

    assert list(tmp_path.rglob("*.nbi"))
    assert printed(start(sources, NUMBA_CACHE_DIR=str(tmp_path)))[1] == digest


@pytest.mark.slow
def test_kernels_work_where_nothing_can_be_written(tmp_path: Path, digest: str):
    package = tmp_path / "llmlora"
    shutil.copytree(Path(llmlora.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "kernels" / "__pycache__").write_text("not a directory: nobody, root included, can write into it")
    nowhere = str(tmp_path / "llmlora" / "kernels" / "__pycache__")

    path, found = printed(start(tmp_path, HOME=nowhere, XDG_CACHE_HOME=nowhere, NUMBA_CACHE_DIR=""))

    assert Path(path).parent == package / "kernels"
    assert found == digest
