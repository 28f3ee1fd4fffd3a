"""llmlora: LoRA fine-tuning on the exact bytes a local engine serves."""

__version__ = "0.1.0"
