"""`/api/create`, line by line. Left out: quantising, safetensors, drafts, renderers guessed by architecture, and the Go
template that Ollama adds when the GGUF file's own looks like one it knows.

Source: server/create.go of Ollama; for the generation that refuses adapters, of 0.34.1.
"""

import json
from collections.abc import Generator, Mapping
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

from llmlora.data.go_template_syntax import GoTemplateError
from llmlora.data.ollama_template import OllamaTemplate
from llmlora.errors import GgufError
from llmlora.gguf.reader import GgufFile
from llmlora.ollama.names import Name
from tests.ollama.standin.generations import Generation
from tests.ollama.standin.model import Model, config_layer, described
from tests.ollama.standin.pull import Catalogue, pull
from tests.ollama.standin.refusal import Refused
from tests.ollama.standin.store import IMAGE, Layer, Store, go_json, parse

Asked = dict[str, Any]
INHERITED = ("renderer", "parser", "requires", "model_format", "capabilities")
NO_ADAPTERS = "LoRA adapters are no longer supported"


def create(store: Store, generation: Generation, catalogue: Catalogue, asked: Asked) -> Generator[Asked]:
    """Check what is asked, which may raise Refused; then the lines."""
    if asked.get("adapters") and generation.adapters == "refused":
        raise Refused(400, NO_ADAPTERS)
    if asked.get("quantize"):
        raise Refused(400, "create-time quantization is only supported for safetensors imports")
    for kind in ("files", "adapters"):
        for path, digest in (asked.get(kind) or {}).items():
            if path.startswith("/") or not set(PurePosixPath(path).parts).isdisjoint({"..", "."}) or not path:
                raise Refused(400, "file path must be relative")
            store.blob(digest)
    name = store.existing(parse(asked.get("model") or asked.get("name", "")))
    return _created(store, generation, catalogue, asked, name)


def _created(store: Store, generation: Generation, catalogue: Catalogue, asked: Asked, name: Name) -> Generator[Asked]:
    old = None
    with suppress(FileNotFoundError):
        old = store.manifest(name)
    config: Asked = {key: asked[key] for key in INHERITED if asked.get(key)}
    layers: list[Layer] = []
    if asked.get("from"):
        try:
            base = yield from _base(store, catalogue, parse(asked["from"]))
            origin = str(base.name)
            layers += [store.layer_of(one["digest"], one["mediaType"], origin) for one in base.manifest["layers"]]
            config |= {key: base.config[key] for key in INHERITED if base.config.get(key) and key not in config}
        except Refused as error:
            if generation.stops_at_errors:
                raise
            yield {"error": str(error)}  # and on it goes
    elif "files" in asked:
        layers += yield from _files(store, generation, asked["files"])
    else:
        raise Refused(400, "neither 'from' or 'files' was specified")
    if asked.get("adapters"):
        if len(asked["adapters"]) > 1:
            raise Refused(400, "only one adapter is currently supported")
        layers += yield from _files(store, generation, asked["adapters"])
    if generation.validates and "files" in asked:
        yield {"status": "validating GGUF model"}
    for layer in layers:
        if layer["mediaType"] == f"{IMAGE}model":
            config = {**described(store.blob(layer["digest"])), **config}
    layers = _with_words(store, layers, asked)
    yield from ({"status": layer["status"]} for layer in layers)
    yield {"status": "writing manifest"}
    store.write(name, config_layer(store, config), layers)
    if old:
        store.prune(old)
    yield {"status": "success"}


def _base(store: Store, catalogue: Catalogue, name: Name) -> Generator[Asked, None, Model]:
    """The model to start from, pulled when it is not there."""
    try:
        return Model(store, name)
    except Refused:
        yield from (line for line in pull(store, catalogue, name) if line["status"] != "success")
        return Model(store, name)


def _files(store: Store, generation: Generation, files: Mapping[str, str]) -> Generator[Asked, None, list[Layer]]:
    if not files:
        raise Refused(400, "no files provided to convert")
    layers = []
    for path, digest in sorted(files.items()):
        yield {"status": "parsing GGUF"}
        kind = _kind(store, digest)
        if kind == "adapter" and generation.adapters == "refused":
            raise Refused(400, f"{NO_ADAPTERS}: {path} is a LoRA adapter")
        layers.append(store.layer_of(digest, IMAGE + kind, path))
    return layers


def _kind(store: Store, digest: str) -> str:
    blob = store.blob(digest)
    if not blob.exists():
        raise Refused(500, f"open {blob}: no such file or directory")
    try:
        with GgufFile(blob) as file:
            return "adapter" if file.metadata.get("general.type") == "adapter" else "model"
    except GgufError:
        raise Refused(400, "supplied file was not in GGUF format") from None


def _with_words(store: Store, layers: list[Layer], asked: Asked) -> list[Layer]:
    """The layers of a model with what the request says about template, system, licence, parameters, messages."""
    if asked.get("template"):
        try:
            OllamaTemplate(asked["template"])
        except GoTemplateError as error:
            raise Refused(400, f"template error: {error}") from None
    for kind in ("template", "system"):
        if asked.get(kind):
            layers = [*_without(kind, layers), store.layer(kind, asked[kind].encode())]
    licences = asked.get("license") or []
    for text in [licences] if isinstance(licences, str) else licences:
        layers = [*layers, store.layer("license", text.encode())]
    parameters = dict(asked.get("parameters") or {})
    for layer in layers:
        if layer["mediaType"] == f"{IMAGE}params":
            parameters = {**_json(store, layer), **parameters}
    if parameters:
        layers = [*_without("params", layers), store.layer("params", go_json(parameters, sort=True))]
    if asked.get("messages"):
        layers = [*_without("messages", layers), store.layer("messages", go_json(asked["messages"]))]
    return layers


def _without(kind: str, layers: list[Layer]) -> list[Layer]:
    return [layer for layer in layers if layer["mediaType"] != IMAGE + kind]


def _json(store: Store, layer: Layer) -> Any:
    return json.loads(store.blob(layer["digest"]).read_bytes())
