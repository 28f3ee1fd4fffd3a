"""Builds GGUF files byte by byte, so that every byte of them can lie."""

import struct

MB = 2**20


def text(value: str | bytes, length: int | None = None) -> bytes:
    """A string; `length` is what it claims."""
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw) if length is None else length) + raw


def u32(value: int) -> bytes:
    return struct.pack("<I", value)


def u64(value: int) -> bytes:
    return struct.pack("<Q", value)


def key(name: str | bytes, kind: int, value: bytes) -> bytes:
    return text(name) + u32(kind) + value


def array(kind: int, length: int, items: bytes = b"") -> bytes:
    return u32(kind) + u64(length) + items


def tensor(name: str | bytes, dims: tuple[int, ...] = (8,), kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + u32(len(dims)) + b"".join(map(u64, dims)) + u32(kind) + u64(offset)


def gguf(
    keys: tuple[bytes, ...] = (),
    tensors: tuple[bytes, ...] = (),
    *,
    version: bytes = b"\3\0\0\0",
    n_tensors: int | None = None,
    n_keys: int | None = None,
    data: bytes = b"",
    alignment: int = 32,
) -> bytes:
    counts = u64(len(tensors) if n_tensors is None else n_tensors) + u64(len(keys) if n_keys is None else n_keys)
    header = b"GGUF" + version + counts + b"".join(keys) + b"".join(tensors)
    return header + bytes(-len(header) % alignment) + data


def _rows(count: int, alignment: int) -> tuple[bytes, ...]:
    return tuple(tensor(b"%x" % n, (1,), 24, n * alignment) for n in range(count))


# what is wrong -> (words of the error, file)
MALFORMED: dict[str, tuple[str, bytes]] = {
    "empty": ("it is empty", b""),
    "four bytes": ("cut off", b"GGUF"),
    "magic and version only": ("cut off", b"GGUF\3\0\0\0"),
    "version 1": ("version 1", gguf(version=b"\1\0\0\0")),
    "version 4": ("is 4", gguf(version=b"\4\0\0\0")),
    "version 0": ("is 0", gguf(version=b"\0\0\0\0")),
    "big-endian": ("big-endian", gguf(version=b"\0\0\0\3")),
    "2^64-1 tensors": ("18446744073709551615 tensors", gguf(n_tensors=2**64 - 1)),
    "65,537 tensors": ("65537 tensors", gguf(n_tensors=65_537)),
    "more tensors than bytes": ("do not fit", gguf(n_tensors=60_000)),
    "2^64-1 keys": ("metadata keys", gguf(n_keys=2**64 - 1)),
    "4,097 keys": ("4097 metadata keys", gguf(n_keys=4_097)),
    "more keys than there are": ("cut off", gguf(n_keys=4_096)),
    "a key of 257 bytes": ("257 bytes in a string", gguf((key("k" * 257, 4, u32(1)),))),
    "a key of 2^63 bytes": ("bytes in a string", gguf((text("k", 2**63),))),
    "a key twice": ("appears twice", gguf((key("k", 4, u32(1)),) * 2)),
    "an unknown value type": ("value type 13", gguf((key("k", 13, u32(1)),))),
    "a string longer than the file": ("cut off", gguf((key("k", 8, text("v", 4_000)),))),
    "a string of 16 MiB and one": ("bytes in a string", gguf((key("k", 8, text("v", 16 * MB + 1)),))),
    "a string of 2^64-1": ("bytes in a string", gguf((key("k", 8, text("v", 2**64 - 1)),))),
    "an array of arrays": ("not allowed", gguf((key("k", 9, array(9, 5_000)),))),
    "an array of type 77": ("not allowed", gguf((key("k", 9, array(77, 1)),))),
    "2^64-1 numbers": ("cut off", gguf((key("k", 9, array(12, 2**64 - 1)),))),
    "2^40 bytes": ("cut off", gguf((key("k", 9, array(0, 2**40)),))),
    "2^61 numbers of 8 bytes": ("cut off", gguf((key("k", 9, array(10, 2**61)),))),
    "2^64-1 strings": ("strings", gguf((key("k", 9, array(8, 2**64 - 1)),))),
    "2,097,153 strings": ("2097153 strings", gguf((key("k", 9, array(8, 2**21 + 1)),))),
    "strings beyond the end": ("cut off", gguf((key("k", 9, array(8, 2**21)),))),
    "a string in an array of 2^64-1": ("cut off", gguf((key("k", 9, array(8, 1, text("v", 2**64 - 1))),))),
    "130,000 empty strings, then the end": ("cut off", gguf((key("k", 9, array(8, 2**18, bytes(8 * 130_000))),))),
    "alignment 0": ("general.alignment", gguf((key("general.alignment", 4, u32(0)),))),
    "alignment 48": ("general.alignment", gguf((key("general.alignment", 4, u32(48)),))),
    "alignment 2^31": ("general.alignment", gguf((key("general.alignment", 4, u32(2**31)),))),
    "alignment true": ("general.alignment", gguf((key("general.alignment", 7, b"\1"),))),
    "alignment a string": ("general.alignment", gguf((key("general.alignment", 8, text("32")),))),
    "alignment an array": ("general.alignment", gguf((key("general.alignment", 9, array(4, 1, u32(32))),))),
    "no dimensions": ("0 dimensions", gguf((), (tensor("t", ()),), data=bytes(64))),
    "5 dimensions": ("5 dimensions", gguf((), (tensor("t", (1,) * 5),), data=bytes(64))),
    "2^32-1 dimensions": (
        "4294967295 dimensions",
        gguf((), (text("t") + u32(2**32 - 1),), data=bytes(64)),
    ),
    "a dimension of 0": ("has dimensions", gguf((), (tensor("t", (8, 0)),), data=bytes(64))),
    "a dimension of 2^40 + 1": ("has dimensions", gguf((), (tensor("t", (2**40 + 1,)),), data=bytes(64))),
    "a product of 2^160": ("ends after the file", gguf((), (tensor("t", (2**40,) * 4),), data=bytes(64))),
    "a product of 2^64": ("ends after the file", gguf((), (tensor("t", (2**32, 2**32)),), data=bytes(64))),
    "type 4, which was removed": ("unknown type 4", gguf((), (tensor("t", kind=4),), data=bytes(64))),
    "type 2^32-1": ("unknown type", gguf((), (tensor("t", kind=2**32 - 1),), data=bytes(64))),
    "half a block": ("whole blocks of 256", gguf((), (tensor("t", (128,), 12),), data=bytes(64))),
    "data cut off": ("ends after the file", gguf((), (tensor("t", (8, 8)),), data=bytes(255))),
    "an offset past the end": ("ends after the file", gguf((), (tensor("t", offset=2**63),), data=bytes(64))),
    "an odd offset": ("multiple of 32", gguf((), (tensor("t", offset=4),), data=bytes(64))),
    "overlapping tensors": ("overlaps", gguf((), (tensor("a", (16,)), tensor("b", offset=32)), data=bytes(128))),
    "one place for two": ("overlaps", gguf((), (tensor("a"), tensor("b")), data=bytes(128))),
    "a tensor twice": ("appears twice", gguf((), (tensor("a"), tensor("a", offset=32)), data=bytes(64))),
    "a tensor name of 257 bytes": ("257 bytes", gguf((), (tensor("t" * 257),), data=bytes(64))),
    "4,096 keys, then garbage": (
        "is cut off",
        gguf(tuple(key(b"%x" % n, 0, b"\0") for n in range(4_095)), n_keys=4_096),
    ),
    "1 MB of tensors, the last one lying": (
        "unknown type 99",
        gguf((), (*_rows(15_500, 32), tensor("z", kind=99)), data=bytes(15_500 * 32)),
    ),
    "1 MB of tensors, the first one twice": (
        "appears twice",
        gguf((), (*_rows(15_500, 32), tensor("0", (1,), 24, 15_500 * 32)), data=bytes(15_501 * 32)),
    ),
}

# what was given in place of GGUF -> (words of the error, beginning)
LOOKALIKES: dict[str, tuple[str, bytes]] = {
    "safetensors": ("safetensors", struct.pack("<Q", 64) + b'{"__metadata__":{}}'),
    "zip": ("ZIP", b"PK\3\4" + bytes(30)),
    "html": ("web page", b"\n<!DOCTYPE html><html>"),
    "lfs": ("Git LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0"),
    "zeros": ("never finished", bytes(4096)),
    "json": ("JSON", b'{"error": "not found"}'),
    "ggml": ("before GGUF", b"tjgg" + bytes(20)),
    "gzip": ("gzip", b"\x1f\x8b\x08"),
    "pickle": ("pickle", b"\x80\x02}q"),
    "text": ("no model file", b"hello"),
}
