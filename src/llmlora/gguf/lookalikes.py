"""What a file is that should have been GGUF: people are told what they gave, not only that it is wrong."""

import struct

_BEGINNINGS = (
    (b"PK\x03\x04", "a ZIP archive or a PyTorch checkpoint"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x80\x02", "a Python pickle"),
    (b"version https://git-lfs", "a Git LFS pointer, a note where the model is and not the model itself"),
    (b"lmgg", "a GGML file from before GGUF"),
    (b"fmgg", "a GGML file from before GGUF"),
    (b"tjgg", "a GGML file from before GGUF"),
    (b"algg", "a GGML adapter from before GGUF"),
)


def looks_like(head: bytes) -> str:
    """A short description of a file that begins with `head` (a few hundred bytes of it)."""
    for beginning, words in _BEGINNINGS:
        if head.startswith(beginning):
            return words
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page, perhaps an error message in place of a download"
    if head[8:9] == b"{" and len(head) > 8 and struct.unpack("<Q", head[:8])[0] < 2**32:
        return "a safetensors file; convert it with llama.cpp's convert_hf_to_gguf.py"
    if text.startswith((b"{", b"[")):
        return "JSON"
    if not head.strip(b"\0"):
        return "a download that never finished: it begins with zeros"
    return "no model file at all"
