"""What the peers of `benchmarks/compare_trainers.py` read is what llmlora trains on."""

import runpy
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.peers.common import MASKED, PACKS_A_STEP, Material, Watch, figures, padded
from benchmarks.peers.material import write_material

from llmlora.data.packing import Batch
from llmlora.train.bench import PACK_TOKENS, bench_recipe, cut
from llmlora.train.evaluate import batch_loss
from llmlora.train.prepare import Prepared, prepare
from tests.small_run import EXACT, home, on_machine, rows_file
from tests.tiny import tiny_gguf

DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Prepared, Material]:
    on_machine(monkeypatch, EXACT)
    model, rows = tiny_gguf(tmp_path / "m.gguf"), rows_file(tmp_path / "rows.jsonl", rows=40)
    recipe = bench_recipe(f"gguf:{model}", [str(rows)], 3)
    write_material(recipe, home(tmp_path), tmp_path / "material")
    return prepare(recipe, home(tmp_path), ()), Material.read(tmp_path / "material")


def steps_of(prepared: Prepared, count: int) -> list[list[Batch]]:
    return list(islice(cut(prepared.train, PACK_TOKENS), count))


def test_packs_are_the_same_tokens_in_the_same_order(both):
    prepared, material = both

    packs = [batch for step in steps_of(prepared, len(material.packs)) for batch in step]

    assert len(material.packs) > PACKS_A_STEP
    for pack, batch in zip(material.packed(), packs, strict=False):
        assert pack["input_ids"] == batch.ids.tolist()
        assert pack["seq_lengths"] == np.diff(batch.boundaries).tolist()
        learned = np.flatnonzero(np.array(pack["labels"]) != MASKED)
        assert (learned - 1).tolist() == batch.labels_index.tolist()
        assert np.array(pack["labels"])[learned].tolist() == batch.labels.tolist()


def test_the_twin_with_the_first_adapter_loses_what_ours_does(both):
    prepared, material = both
    twin = material.model(torch.float32).train(False)
    ((batch, _),) = steps_of(prepared, 1)
    rows = [material.rows[row] for row in material.packs[0]]

    with torch.no_grad():
        theirs = twin(**padded(rows)).loss
        ours = batch_loss(prepared.base_model, batch) / len(batch.labels)

    torch.testing.assert_close(theirs, ours, rtol=2e-2, atol=0)  # the twin's weights are rounded to bfloat16
    assert any(weight.requires_grad for weight in twin.parameters())
    for name, weight in prepared.parameters.items():
        torch.testing.assert_close(dict(twin.named_parameters())[name], weight)


def test_a_peer_counts_no_padding(both):
    _, material = both
    watch = Watch()
    watch.seconds = [9.0, 9.0, 2.0]

    told = figures(material.rows, 8, watch)

    third = material.rows[16:24]
    assert told["tokens_per_second"] == sum(len(row["input_ids"]) for row in third) / 2
    learned = sum(label != MASKED for row in third for label in row["labels"])
    assert told["supervised_tokens_per_second"] == learned / 2


@pytest.mark.parametrize("name", ["performance.md", "performance.en.md"])
def test_the_page_is_what_was_measured(name: str):
    page = runpy.run_path(str(DOCS / "performance_page.py"))["page"]

    assert (DOCS / name).read_text("utf-8") == page(name)
