"""Ctrl-C and its kin: held back for a short step, never lost."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from stepaudio_serve.startup.interrupt import SIGNALS, interruption_deferred, signals_as_interrupt


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_during_the_step_comes_after_it(number: signal.Signals) -> None:
    finished = []

    def step() -> None:
        with interruption_deferred():
            os.kill(os.getpid(), number)
            finished.append(True)

    with pytest.raises(KeyboardInterrupt):
        step()
    assert finished


def test_without_a_signal_nothing_is_raised_and_handlers_are_as_before() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with signals_as_interrupt(), interruption_deferred():
        pass
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_an_error_of_the_step_is_raised_as_it_is() -> None:
    with pytest.raises(LookupError), interruption_deferred():
        raise LookupError


def test_a_signal_during_a_step_that_raises_is_not_lost() -> None:
    def step() -> None:
        with interruption_deferred():
            os.kill(os.getpid(), signal.SIGINT)
            raise LookupError

    with pytest.raises(KeyboardInterrupt):
        step()


@pytest.mark.parametrize("number", SIGNALS)
def test_each_signal_ends_the_work_as_ctrl_c_does(number: signal.Signals) -> None:
    def work() -> None:
        with signals_as_interrupt():
            os.kill(os.getpid(), number)
            signal.pause()

    with pytest.raises(KeyboardInterrupt):
        work()


def test_steps_inside_the_work_hold_it_back_too() -> None:
    steps = []

    def work() -> None:
        with signals_as_interrupt():
            with interruption_deferred():
                os.kill(os.getpid(), signal.SIGTERM)
                steps.append("whole")
            steps.append("never")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == ["whole"]


def test_under_nohup_a_closed_terminal_ends_nothing() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_as_interrupt(), interruption_deferred():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_the_main_thread_the_step_just_runs() -> None:
    done = []

    def step() -> None:
        with interruption_deferred():
            done.append(1)

    thread = threading.Thread(target=step)
    thread.start()
    thread.join()
    assert done == [1]
