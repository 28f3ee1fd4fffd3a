"""The time a run will still take: planned at first, then as it was seen."""

import pytest

from llmlora.train.clock import Clock
from llmlora.train.run import train
from tests.small_run import events, home, small_recipe


def test_the_plan_holds_until_the_third_step_and_the_first_is_not_counted():
    clock = Clock(planned=0.5)
    told = [clock.left(100)]
    for seconds in (90.0, 2.0, 2.0, 2.0):
        clock.step_took(seconds, tokens=10)
        told.append(clock.left(100))

    assert told == pytest.approx([50, 50, 50, 20, 20])


def test_later_steps_move_it_slowly():
    clock = Clock(planned=0.5)
    for seconds in (90.0, 2.0, 2.0, 4.0):
        clock.step_took(seconds, tokens=10)

    assert clock.left(100) == pytest.approx(24)


def test_a_run_tells_what_was_planned_and_then_what_it_sees(tmp_path, monkeypatch):
    monkeypatch.setattr("llmlora.plan.seconds_needed", lambda *_: 6_000.0)  # for six steps

    train(small_recipe(tmp_path, steps=6), tmp_path / "out", home(tmp_path))

    left = [event["eta_seconds"] for event in events(tmp_path / "out") if event["event"] == "step"]
    assert left[:2] == pytest.approx([5_000, 4_000])
    assert all(one < 1_000 for one in left[2:])
    assert left[-1] == 0
