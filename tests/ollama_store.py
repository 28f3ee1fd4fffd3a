"""Lays out an Ollama store on the disk, as `ollama pull` does."""

import hashlib
import json
from pathlib import Path
from typing import Any

IMAGE = "application/vnd.ollama.image."


class OllamaStore:
    """A store below `root`; `add` puts a model in."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "blobs").mkdir(parents=True)

    def blob(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        (self.root / "blobs" / f"sha256-{digest}").write_bytes(content)
        return f"sha256:{digest}"

    def layer(self, kind: str, content: bytes) -> dict[str, Any]:
        return {"mediaType": IMAGE + kind, "digest": self.blob(content), "size": len(content)}

    def manifest(self, layers: list[dict[str, Any]], config: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(config).encode()
        described = {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "digest": self.blob(text),
            "size": len(text),
        }
        return {"schemaVersion": 2, "config": described, "layers": layers}

    def write(self, name: str, manifest: bytes | dict[str, Any]) -> Path:
        """Put a manifest at HOST/NAMESPACE/MODEL/TAG."""
        path = self.root / "manifests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode())
        return path

    def add(self, name: str, model: bytes, config: dict[str, Any] | None = None, **others: bytes) -> None:
        """A model with one GGUF layer, and others by kind: `license=b"MIT"`."""
        layers = [self.layer("model", model), *(self.layer(kind, text) for kind, text in others.items())]
        self.write(name, self.manifest(layers, config or {"model_format": "gguf", "model_family": "llama"}))
