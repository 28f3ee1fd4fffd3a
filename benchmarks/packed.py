"""What it costs to train on weights that stay in their blocks, beside the same steps with the weights dequantised once.

    python benchmarks/packed.py [MODEL ...]      steps of 1,024 and 256 tokens, r 8 on every linear layer, bfloat16

Rows of at most 512 random tokens, 63 % of them supervised; loss and optimiser included. Medians of steps that take turns.
"""

import os
import sys
import time
from statistics import median

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch, as llmlora.openmp does
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import numpy as np
import torch
from transformers import PreTrainedModel

from llmlora.data.examples import Example
from llmlora.data.packing import Batch, pack
from llmlora.gguf.architectures import ARCHITECTURES
from llmlora.gguf.reader import GgufFile
from llmlora.model.load import load_model, unpack
from llmlora.model.lora import add_lora, trainable
from llmlora.model.source import resolve
from llmlora.recipe import make_recipe
from llmlora.settings import read_settings
from llmlora.train.evaluate import batch_loss
from llmlora.train.optimise import Optimiser

MODELS, TOKENS, STEPS = ("sample:smollm2-135m", "sample:gemma3-270m"), (1024, 256), 7
LONGEST, SUPERVISED = 512, 0.63


def main(names: list[str]) -> None:
    for name in names or MODELS:
        settings = read_settings()
        file = GgufFile(resolve(name, settings.home, settings.ollama_stores).path)
        sides = {"packed": _model(file, False), "unpacked": _model(file, True)}
        for tokens in TOKENS:
            batch = _batch(tokens)
            took: dict[str, list[float]] = {side: [] for side in sides}
            for number in range(STEPS + 1):  # the first warms up
                for side, (model, optimiser) in sides.items():
                    start = time.perf_counter()
                    (batch_loss(model, batch) / len(batch.labels)).backward()
                    optimiser.step(1e-4)
                    if number:
                        took[side].append(time.perf_counter() - start)
            packed, unpacked = median(took["packed"]), median(took["unpacked"])
            print(
                f"{name}, {tokens} tokens a step: packed {1000 * packed:.0f} ms, unpacked {1000 * unpacked:.0f} ms, "
                f"ratio {packed / unpacked:.2f}",
                flush=True,
            )


def _model(file: GgufFile, unpacked: bool) -> tuple[PreTrainedModel, Optimiser]:
    model = load_model(file, torch.bfloat16)
    if unpacked:
        unpack(model, torch.bfloat16)
    targets = ARCHITECTURES[str(file.metadata["general.architecture"])].targets
    adapted = add_lora(model, make_recipe({"model": "-", "data": "-", "rank": 8}), targets)
    model.train()
    return model, Optimiser(trainable(adapted), 0.0)


def _batch(tokens: int) -> Batch:
    random, length = np.random.default_rng(0), min(tokens, LONGEST)
    trained = np.arange(length) > length * (1 - SUPERVISED)
    rows = range(tokens // length)
    return pack([Example(row, random.integers(0, 40_000, length).astype(np.int32), trained, cut=0) for row in rows])


if __name__ == "__main__":
    main(sys.argv[1:])
