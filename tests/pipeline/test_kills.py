"""The kill matrix: every step, killed (kill -9) before and after each write it makes, and run again.

What AWS has in the end is what it has after an undisturbed run, and clients of the endpoint notice nothing.
"""

import random

import pytest

from tests.conftest import EVERY_CASE, MATRIX_SEED
from tests.pipeline.stage import Stage
from tests.pipeline.steps import STEPS

pytestmark = pytest.mark.starts_processes


@pytest.mark.matrix
@pytest.mark.timeout(1700)
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_step_killed_at_any_of_its_writes_is_finished_by_the_next_run(
    stage: Stage, step: str, *, is_after: bool
) -> None:
    undisturbed, writes = stage.play(step, 0, is_after=is_after)
    numbers = STEPS[step].numbers(len(writes), is_after=is_after)
    seeded = [random.Random(MATRIX_SEED).choice(numbers)]

    for number in numbers if EVERY_CASE else seeded:
        found, _ = stage.play(step, number, is_after=is_after)
        assert found == undisturbed, f"killed at write {number} of {writes}"
