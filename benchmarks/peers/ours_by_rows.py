"""llmlora's losses where a step is eight rows, for the peers that cannot pack: `ours_by_rows.py MODEL ROWS STEPS`."""

import json
import sys

from llmlora.data.packing import pack
from llmlora.settings import read_settings
from llmlora.train.bench import bench_recipe
from llmlora.train.loop import take_gradient
from llmlora.train.optimise import Optimiser
from llmlora.train.prepare import prepare

ROWS_A_STEP = 8


def main(model: str, rows: str, steps: int) -> None:
    prepared = prepare(bench_recipe(model, [rows], steps), read_settings().home, ())
    optimiser, losses = Optimiser(prepared.parameters, 0.0), []
    for start in range(0, ROWS_A_STEP * steps, ROWS_A_STEP):
        losses.append(take_gradient(prepared.base_model, [pack(prepared.train[start : start + ROWS_A_STEP])]))
        optimiser.step(prepared.learning_rate)
    print(json.dumps({"losses": losses}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
