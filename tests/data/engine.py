"""llama.cpp's own opinion: a small model around any vocabulary, and what the engine makes of texts with it.

Run as a script in a process of its own, because it is native code: `engine.py MODEL < texts.json > tokens.json`.
"""

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import gguf


def model_with(path: Path, kind: str, tokens: Sequence[str], types: Sequence[int], **more: object) -> Path:
    """Write a GGUF model of one narrow layer around a vocabulary; `more` are further `tokenizer.ggml` keys."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_feed_forward_length(32)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_tokenizer_model(kind)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    for key, value in more.items():
        add = {bool: writer.add_bool, str: writer.add_string, int: writer.add_uint32}.get(type(value), writer.add_array)
        add(f"tokenizer.ggml.{key}", value)
    shapes = {"token_embd": (len(tokens), 32), "output_norm": (32,)}
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        shapes[f"blk.0.{name}"] = (32, 32)
    shapes |= {"blk.0.attn_norm": (32,), "blk.0.ffn_norm": (32,)}
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", np.zeros(shape, np.float16 if len(shape) > 1 else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def engine_tokens(model: Path, texts: Sequence[str]) -> list[list[int]]:
    """What llama.cpp cuts each text into, BOS and markers included."""
    done = subprocess.run(
        [sys.executable, __file__, str(model.resolve())],
        input=json.dumps(texts).encode(),
        capture_output=True,
        check=True,
        timeout=120,
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = sys.argv[1]
    parameters.n_ctx, parameters.n_parallel, parameters.verbosity = 64, 1, 0
    parameters.warmup = parameters.fit_params = False
    parameters.api_keys = ["secret"]
    server = xllamacpp.Server(parameters)
    link = http.client.HTTPConnection(server.listening_address.removeprefix("http://"))

    def ask(text: str) -> list[int]:
        body = json.dumps({"content": text, "add_special": True, "parse_special": True}).encode()
        link.request("POST", "/tokenize", body, {"Authorization": "Bearer secret"})
        return json.loads(link.getresponse().read())["tokens"]

    print(json.dumps([ask(text) for text in json.load(sys.stdin)]), flush=True)
    os._exit(0)  # its threads need not be waited for


if __name__ == "__main__":
    main()
