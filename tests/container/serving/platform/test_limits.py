"""SageMaker's limits hold unless the environment says otherwise, in numbers."""

import pytest

from serving.platform.limits import BadLimit, Limits, from_environ


def test_the_defaults_are_sagemakers() -> None:
    assert from_environ({}) == Limits(payload_mb=25, timeout_seconds=60)
    assert from_environ({}).payload_bytes == 26_214_400
    assert from_environ({}).stream_seconds == 8 * 60


def test_the_environment_decides() -> None:
    environ = {
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "6",
        "SAGEMAKER_MODEL_SERVER_TIMEOUT": "5",
        "SERVE_STREAM_TIMEOUT": "9",
    }

    assert from_environ(environ) == Limits(payload_mb=6, timeout_seconds=5, stream_seconds=9)
    assert from_environ(environ).too_large == "body: expected at most 6 MB, got more"


def test_other_servers_words_for_the_time_limit_count_where_ours_is_not_set() -> None:
    environ = {"SAGEMAKER_TS_RESPONSE_TIMEOUT": "7", "SAGEMAKER_STARTUP_TIMEOUT": "30"}

    assert from_environ(environ) == Limits(payload_mb=25, timeout_seconds=7, startup_seconds=30)
    assert from_environ({**environ, "SAGEMAKER_MODEL_SERVER_TIMEOUT": "5"}).timeout_seconds == 5


@pytest.mark.parametrize("value", ["0", "-1", "6.5", "6 MB", "1025", "²"])
def test_what_is_no_limit_is_refused_by_name(value: str) -> None:
    with pytest.raises(BadLimit, match="SAGEMAKER_MAX_PAYLOAD_IN_MB: expected a whole number from 1 to 1024"):
        from_environ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": value})
