"""Dequantising: gguf-py, the reference and the fast kernels say the same, bit for bit."""

import numpy as np
import pytest
import torch
from tests.kernels.blocks import ordinary, strange
from torch import Tensor

import gguf
from llmlora.ggml import BY_NAME
from llmlora.kernels import fast, reference
from llmlora.kernels.dequantise import ELEMENTS_PER_THREAD, PackedMatrix
from llmlora.kernels.types import SUPPORTED

DTYPES = (torch.float32, torch.bfloat16)
BITS = {torch.float32: torch.int32, torch.bfloat16: torch.int16}


def assert_same_bits(found: Tensor, expected: Tensor) -> None:
    """Not-a-numbers in the same places, and the same bits everywhere else."""
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert torch.equal(found.isnan(), expected.isnan())
    numbers = ~expected.isnan()
    bits = BITS[expected.dtype]
    assert torch.equal(found.view(bits)[numbers], expected.view(bits)[numbers])


def by_reference(matrix: PackedMatrix) -> Tensor:
    return reference.dequantise(torch.from_numpy(matrix.blocks), matrix.kind)


@pytest.fixture
def _two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_every_supported_type_has_a_reference_and_a_kernel():
    assert set(reference.FORMATS) == set(fast.FORMATS) == set(SUPPORTED)


@pytest.mark.parametrize("name", SUPPORTED)
def test_the_reference_agrees_with_gguf_py_on_strange_blocks(name: str):
    blocks = strange(name)

    with np.errstate(all="ignore"):
        expected = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[name])
    found = reference.dequantise(torch.from_numpy(blocks), BY_NAME[name])

    assert_same_bits(found, torch.from_numpy(expected.reshape(found.shape)))
    assert found.isnan().any() == (name != "MXFP4")  # whose scales are powers of two, all of them numbers
    assert found.isinf().any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SUPPORTED)
def test_the_kernels_agree_with_the_reference_on_strange_blocks(name: str, dtype: torch.dtype):
    matrix = PackedMatrix(strange(name), BY_NAME[name])

    found = matrix.dense(dtype)

    assert_same_bits(found, by_reference(matrix).to(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SUPPORTED)
def test_the_kernels_agree_with_the_reference_on_rows_of_many_blocks(name: str, dtype: torch.dtype):
    matrix = ordinary(name, 37, 768)

    found = matrix.dense(dtype)

    assert_same_bits(found, by_reference(matrix).to(dtype))
    assert found.isfinite().all()


@pytest.mark.parametrize("name", ["F32", "BF16"])
def test_bfloat16_is_rounded_to_nearest_even(name: str):
    halfway = np.array([0x3F808000, 0x3F818000, 0x3F808001, 0x7F7FFFFF, 0x00008000], dtype=np.uint32)
    stored = halfway if name == "F32" else (halfway >> 16).astype(np.uint16)

    found = PackedMatrix(stored.view(np.uint8)[None], BY_NAME[name]).dense(torch.bfloat16)

    expected = [0x3F80, 0x3F82, 0x3F81, 0x7F80, 0x0000] if name == "F32" else [0x3F80, 0x3F81, 0x3F80, 0x7F7F, 0x0000]
    assert found.view(torch.int16).tolist() == [expected]


@pytest.mark.parametrize(("start", "stop"), [(0, 0), (0, 1), (3, 20), (36, 37), (0, 37)])
@pytest.mark.parametrize("ordered", [False, True])
def test_a_range_of_rows_is_that_part_of_the_whole(start: int, stop: int, ordered: bool):
    stored = ordinary("Q4_K", 37, 512)
    order = np.random.default_rng(2).permutation(37) if ordered else np.arange(37)
    matrix = PackedMatrix(stored.blocks, stored.kind, order if ordered else None)

    found = matrix.rows(start, stop, torch.float32)

    assert_same_bits(found, by_reference(stored)[torch.from_numpy(order)][start:stop])


@pytest.mark.parametrize("ordered", [False, True])
def test_gathered_rows_come_in_the_order_of_the_index(ordered: bool):
    stored = ordinary("Q6_K", 11, 256)
    order = np.random.default_rng(3).permutation(11) if ordered else np.arange(11)
    matrix = PackedMatrix(stored.blocks, stored.kind, order if ordered else None)
    index = torch.tensor([10, 0, 0, 7, 10])

    found = matrix.gather(index, torch.bfloat16)

    assert_same_bits(found, by_reference(stored)[torch.from_numpy(order)][index].to(torch.bfloat16))
    assert matrix.gather(index[:0], torch.float32).shape == (0, 256)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.usefixtures("_two_threads")
def test_the_number_of_threads_changes_no_bit(dtype: torch.dtype):
    stored = ordinary("Q5_K", 601, 1024)
    matrix = PackedMatrix(stored.blocks, stored.kind, np.random.default_rng(4).permutation(601))
    assert 2 * ELEMENTS_PER_THREAD < 601 * 1024  # else both runs have one thread
    by_two = matrix.dense(dtype)

    torch.set_num_threads(1)
    by_one = matrix.dense(dtype)

    assert_same_bits(by_two, by_one)
    assert_same_bits(by_one, by_reference(stored)[torch.from_numpy(matrix.order)].to(dtype))


def test_a_mapped_file_is_read_in_place(tmp_path):
    made = ordinary("Q8_0", 5, 64)
    path = tmp_path / "blocks"
    path.write_bytes(bytes(3) + made.blocks.tobytes())
    mapped = np.memmap(path, dtype=np.uint8, mode="r", offset=3, shape=made.blocks.shape)

    found = PackedMatrix(mapped, made.kind).dense(torch.float32)

    assert_same_bits(found, by_reference(made))
    assert_same_bits(made.dense(torch.float32), found)
    assert made.blocks.flags.writeable
    compiled = [arguments[0] for arguments in fast.FORMATS["Q8_0"].signatures]
    assert len(set(compiled)) == 1  # for both the same code


def test_a_larger_output_keeps_what_is_beyond_the_rows():
    matrix, out = ordinary("Q4_0", 4, 32), torch.full((6, 32), 9.0)

    matrix.write_rows(1, 4, out)

    assert_same_bits(out[:3], matrix.rows(1, 4, torch.float32))
    assert (out[3:] == 9).all()


@pytest.mark.parametrize("out", [torch.zeros(3, 32), torch.zeros(4, 64), torch.zeros(4, 16), torch.zeros(32, 4).t()])
def test_an_output_that_does_not_fit_is_refused(out: Tensor):
    with pytest.raises(ValueError, match="4 rows of 32 do not go into"):
        ordinary("Q4_0", 4, 32).write_rows(0, 4, out)

    assert (out == 0).all()


def test_a_type_without_a_kernel_is_refused():
    kind = BY_NAME["IQ3_S"]

    with pytest.raises(TypeError, match="no kernel for IQ3_S"):
        PackedMatrix(np.zeros((1, kind.block_bytes), np.uint8), kind).dense(torch.float32)


def test_an_order_beyond_the_stored_rows_is_refused():
    stored = ordinary("Q4_0", 4, 32)

    with pytest.raises(IndexError, match="rows 0 to 4 of a matrix of 4"):
        PackedMatrix(stored.blocks, stored.kind, np.array([0, 1, 2, 4])).dense(torch.float32)


@pytest.mark.parametrize("order", [None, np.arange(4)])
def test_rows_that_do_not_exist_are_refused(order: np.ndarray | None):
    stored = ordinary("Q4_0", 4, 32)
    matrix = PackedMatrix(stored.blocks, stored.kind, order)

    with pytest.raises(IndexError, match="rows 2 to 4 of a matrix of 4"):
        matrix.rows(2, 5, torch.float32)
    with pytest.raises(IndexError, match="rows -1 to 0"):
        matrix.gather(torch.tensor([0, -1]), torch.float32)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_other_types_of_numbers_are_refused(dtype: torch.dtype):
    with pytest.raises(TypeError, match="float32 or bfloat16"):
        ordinary("Q4_0", 4, 32).dense(dtype)
