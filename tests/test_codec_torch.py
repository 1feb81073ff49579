"""Tensors of PyTorch on the CPU, which come by DLPack."""

from __future__ import annotations

import numpy as np
import pytest
from same import difference

import nptransport as npt

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool", "complex64", "float16"])
def test_tensors_lend_their_memory(dtype):
    tensor = torch.ones((2, 3), dtype=getattr(torch, dtype))
    frames = npt.encode(tensor)
    assert difference(tensor.numpy(), npt.decode(frames)) is None
    assert np.frombuffer(frames[1], "u1").ctypes.data == tensor.data_ptr()


def test_a_transposed_tensor_arrives_in_fortran_order():
    arrived = npt.decode(npt.encode(torch.zeros(2, 3).T))
    assert arrived.shape == (3, 2)
    assert arrived.flags.f_contiguous


def test_a_tensor_that_requires_grad_says_so():
    with pytest.raises(npt.EncodeError, match="grad") as caught:
        npt.encode({"weights": torch.zeros(2, requires_grad=True)})
    assert caught.value.path == "payload['weights']"


def test_a_tensor_that_numpy_has_no_dtype_for_is_refused():
    with pytest.raises(npt.EncodeError, match=r"(?i)bfloat16|dtype") as caught:
        npt.encode([torch.zeros(2, dtype=torch.bfloat16)])
    assert caught.value.path == "payload[0]"


def test_a_tensor_without_memory_is_refused():
    with pytest.raises(npt.EncodeError, match=r"(?i)meta"):
        npt.encode(torch.zeros(2, device="meta"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("options", [{}, {"requires_grad": True}, {"dtype": torch.bfloat16}], ids=str)
def test_a_tensor_on_a_gpu_is_refused_and_what_to_do_is_said(options):
    with pytest.raises(npt.EncodeError, match=r"lies in the memory of cuda:0; copy it to the CPU"):
        npt.encode([torch.zeros(2, device="cuda", **options)])


def test_a_tensor_is_no_key():
    with pytest.raises(npt.EncodeError, match="as a key"):
        npt.encode({torch.zeros(2): 1})
