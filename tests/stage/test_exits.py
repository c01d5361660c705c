"""How training ends when it does not end well. What it leaves when it does is in the contract suites."""

from __future__ import annotations

import signal

import pytest
import torch

from noria.common.errors import RunError, Terminated
from noria.stage.exits import one_exit


def test_memory_that_does_not_suffice_comes_with_advice():
    with pytest.raises(RunError) as caught, one_exit():
        torch.empty(2**60, dtype=torch.float32)
    said = str(caught.value)
    assert said.startswith("Out of memory (") and "\n" not in said
    for way_out in ("data.batch_size", "trainer.accumulate_grad_batches", "data.max_length", "precision=bf16"):
        assert way_out in said


def test_python_s_own_memory_error_too():
    with pytest.raises(RunError, match="Out of memory"), one_exit():
        bytearray(2**62)


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), one_exit():
        torch.ones(2, 3) @ torch.ones(2, 3)
    with pytest.raises(SystemExit), one_exit():
        raise SystemExit(3)


def test_ctrl_c_after_lightning_has_made_an_exit_of_it():
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt), one_exit():
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt:
                raise SystemExit(1)  # noqa: B904 - as Lightning does
    finally:
        signal.signal(signal.SIGINT, before)


def test_termination_and_the_handler_that_was_there():
    from lightning.pytorch.utilities.exceptions import SIGTERMException

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), one_exit():
        raise SIGTERMException
    assert signal.getsignal(signal.SIGTERM) == before
