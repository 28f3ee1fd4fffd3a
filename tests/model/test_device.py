"""What the machine leaves to a process."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from llmlora.model import device
from llmlora.model.device import free_memory, probe_machine


@pytest.fixture
def groups(tmp_path: Path, monkeypatch) -> Path:
    """Control groups of version 2, in which this process is in `/outer/inner`."""
    (tmp_path / "cgroup").write_text("0::/outer/inner\n")
    monkeypatch.setattr(device, "GROUPS", tmp_path / "fs")
    monkeypatch.setattr(device, "OWN_GROUP", tmp_path / "cgroup")
    (tmp_path / "fs" / "outer" / "inner").mkdir(parents=True)
    return tmp_path / "fs"


def limit(group: Path, most: str, used: int, pages: int) -> None:
    (group / "memory.max").write_text(f"{most}\n")
    (group / "memory.current").write_text(f"{used}\n")
    (group / "memory.stat").write_text(f"anon 1\nfile {pages}\n")


def test_without_a_limit_what_the_machine_has_is_free(groups: Path):
    limit(groups / "outer" / "inner", "max", 5, 1)

    assert abs(free_memory() - psutil.virtual_memory().available) < 2**30


def test_a_container_is_as_small_as_its_narrowest_group_and_file_pages_can_be_taken_back(groups: Path):
    limit(groups / "outer" / "inner", "9000", 2000, 500)
    limit(groups / "outer", "6000", 4000, 1500)

    assert free_memory() == 6000 - 4000 + 1500


def test_the_probe_knows_the_limit_that_the_process_has_and_the_one_it_is_told():
    code = (
        "from llmlora.confine import limit_allocation; limit_allocation(3 * 2**30)\n"
        "from llmlora.model.device import probe_machine\n"
        "print(probe_machine().allocatable, probe_machine(2**30).allocatable)"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert told.stdout.split() == [str(3 * 2**30), str(2**30)]
    assert probe_machine().allocatable is None
