"""The thread plan follows the container's share of the CPUs, not the host's count."""

import os
from pathlib import Path

import pytest

from serving.platform.cpus import BadPlan, Plan, available, plan, quota


def write(root: Path, **files: str) -> Path:
    for name, content in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


@pytest.mark.parametrize(
    ("content", "expected"),
    [("200000 100000\n", 2.0), ("50000 100000\n", 0.5), ("2000 20000\n", 0.1), ("max 100000\n", None)],
)
def test_version_2_quota_is_share_over_period(tmp_path: Path, content: str, expected: float | None) -> None:
    assert quota(write(tmp_path, cpu_dot_max=content)) == expected


@pytest.mark.parametrize("controller", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize(("share", "expected"), [("150000\n", 1.5), ("-1\n", None)])
def test_version_1_quota_is_share_over_period(
    tmp_path: Path, controller: str, share: str, expected: float | None
) -> None:
    write(tmp_path / controller, cpu_dot_cfs_quota_us=share, cpu_dot_cfs_period_us="100000\n")

    assert quota(tmp_path) == expected


def test_no_cgroup_is_no_limit(tmp_path: Path) -> None:
    assert quota(tmp_path) is None


def test_available_is_the_smaller_of_quota_and_affinity(tmp_path: Path) -> None:
    mine = len(os.sched_getaffinity(0))

    assert available(tmp_path) == mine
    assert available(write(tmp_path, cpu_dot_max="10000 100000")) == 0.1
    assert available(write(tmp_path, cpu_dot_max="99900000 100000")) == mine


@pytest.mark.parametrize(
    ("cpus", "demanded", "workers", "threads"),
    [
        (2, None, 2, 1),
        (2.9, None, 2, 1),
        (0.1, None, 1, 1),
        (8, "2", 2, 4),
        (8, "3", 3, 2),
        (4, "1", 1, 4),
        (1, "4", 4, 1),
        (2, "", 2, 1),
    ],
)
def test_workers_times_threads_stays_within_the_cpus(
    cpus: float, demanded: str | None, workers: int, threads: int
) -> None:
    environ = {} if demanded is None else {"SAGEMAKER_MODEL_SERVER_WORKERS": demanded}

    assert plan(cpus, environ) == Plan(cpus=cpus, workers=workers, engine_threads=threads)


def test_torchserves_word_for_workers_counts_where_sagemakers_is_not_set() -> None:
    assert plan(8, {"SAGEMAKER_TS_MAX_WORKERS": "2"}).workers == 2
    assert plan(8, {"SAGEMAKER_TS_MAX_WORKERS": "2", "SAGEMAKER_MODEL_SERVER_WORKERS": "4"}).workers == 4


@pytest.mark.parametrize("demanded", ["0", "-1", "two", "1.5", "²"])
def test_a_demand_that_is_no_number_is_refused_by_name(demanded: str) -> None:
    with pytest.raises(
        BadPlan, match="SAGEMAKER_MODEL_SERVER_WORKERS: expected a number of workers of at least 1"
    ):
        plan(2, {"SAGEMAKER_MODEL_SERVER_WORKERS": demanded})


def test_a_plan_reads_as_a_sentence() -> None:
    assert str(Plan(cpus=2.5, workers=2, engine_threads=1)) == "2 workers × 1 engine thread on 2.5 CPUs"
