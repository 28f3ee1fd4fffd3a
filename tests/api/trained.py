"""What training leaves behind, without the training."""

import json

import numpy as np
import yaml
from safetensors.numpy import save_file

from llmlora.api.context import Context
from llmlora.model.source import resolve
from llmlora.store import jobs

SMOL = "sample:smollm2-135m"


def succeeded_job(context: Context, model: str, state: str = "succeeded", **recipe: object) -> str:
    """A training job that is over, its first attempt's directory still to be made."""
    job = jobs.submit(context.database, jobs.Request("train", "my job", {"recipe": {"model": model, **recipe}}))
    with context.database.writing() as connection:
        job = jobs.claim(connection, "me", ["train"]) or job
        jobs.write(connection, job.id, job.epoch, state=state)
    return job.id


def trained_job(context: Context, model: str = SMOL, state: str = "succeeded", **recipe: object) -> str:
    """A training job that is over, with a random adapter on every q projection."""
    job_id = succeeded_job(context, model, state, **recipe)
    directory, random = context.settings.home.attempt(job_id, 1) / "final_model", np.random.default_rng(0)
    directory.mkdir(parents=True)
    weights = {}
    for layer in range(30):
        module = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
        for half, shape in (("lora_A", (8, 576)), ("lora_B", (576, 8))):
            weights[f"{module}.{half}.weight"] = (random.standard_normal(shape) * 0.2).astype(np.float32)
    save_file(weights, directory / "adapter_model.safetensors")
    (directory / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 8, "lora_alpha": 16}))
    (directory / "recipe.yaml").write_text(yaml.safe_dump({"model": model}))
    digest = resolve(model, context.settings.home, ()).digest
    (directory / "MANIFEST.json").write_text(json.dumps({"base": {"name": model, "digest": digest}}))
    return job_id
