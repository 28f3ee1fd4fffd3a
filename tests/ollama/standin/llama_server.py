"""A process that is llama.cpp's own server, as Ollama starts one for each model: `llama_server.py '{"model": …}'`.

It says its address, and ends when its input does.
"""

import json
import os
import sys

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

import xllamacpp as llama


def main() -> None:
    asked = json.loads(sys.argv[1])
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print where they like
    parameters = llama.CommonParams()
    parameters.model.path = asked["model"]
    parameters.lora_adapters = [llama.CommonAdapterLoraInfo(path, 1.0) for path in asked["adapters"]]
    parameters.n_ctx, parameters.n_parallel = asked["context"], 1
    parameters.cpuparams.n_threads, parameters.cpuparams.poll = os.cpu_count() or 1, 0
    parameters.warmup = parameters.fit_params = parameters.ui = False
    parameters.verbosity = 1
    parameters.port = 0
    server = llama.Server(parameters)
    print(server.listening_address, file=said, flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
