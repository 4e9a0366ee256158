"""The config of a rehearsal with another model: config's own, without what is known of config's model alone."""

from pathlib import Path

import pytest

from pipeline.config import environments, load_environment
from rehearsal.journey import ENVIRONMENTS
from rehearsal.model_config import config_without_comparison
from rehearsal.models import CONFIG, config_of


@pytest.mark.starts_processes
def test_it_is_configs_own_without_the_comparison_of_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    configs = {name: config_of(name) for name in ENVIRONMENTS}
    folder = config_without_comparison(configs, tmp_path / "config", CONFIG)

    assert environments(folder) == environments(CONFIG)
    for name in ENVIRONMENTS:
        own, found = load_environment(name, CONFIG), load_environment(name, folder)
        assert own.limits.changed_answers_percent is not None
        assert found.limits.changed_answers_percent is None
        assert found.verification.quality is None
        assert found.model_copy(update={"limits": own.limits, "verification": own.verification}) == own
