from __future__ import annotations

import os
import signal
from types import SimpleNamespace
from typing import Any

import pytest

from noria.callback.interrupt import Interrupt

NOBODY: Any = None
ONE: Any = SimpleNamespace(world_size=1)


@pytest.fixture
def listening() -> Any:
    """The callback in a fit that has begun, under Python's own handler of Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    callback = Interrupt()
    callback.on_fit_start(NOBODY, NOBODY)
    yield callback
    callback.teardown(NOBODY, NOBODY, "fit")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_nothing_happens_without_a_signal(listening: Interrupt) -> None:
    listening.on_train_batch_start(NOBODY)
    listening.on_validation_batch_start(ONE)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_python_forgot_comes_again(listening: Interrupt) -> None:
    class Closing:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1000):  # the handler runs in here, and what it raises is forgotten
                pass

    thing = Closing()
    del thing
    with pytest.raises(KeyboardInterrupt):
        listening.on_train_batch_start(NOBODY)


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        callback = Interrupt()
        callback.on_fit_start(NOBODY, NOBODY)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
