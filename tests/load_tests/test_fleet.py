"""The fleet's history shows every instance that there is, also while one fleet replaces another."""

from typing import Any

from botocore.exceptions import EndpointConnectionError

from load_tests.fleet import sample


def fleet(config: str, current: int, desired: int) -> dict[str, Any]:
    variant = {"VariantName": "v", "CurrentInstanceCount": current, "DesiredInstanceCount": desired}
    return {"EndpointConfigName": config, "ProductionVariants": [variant]}


def test_during_a_deployment_both_fleets_are_recorded() -> None:
    endpoint = {"EndpointStatus": "Updating", **fleet("old", 0, 2)}
    endpoint["PendingDeploymentSummary"] = fleet("new", 2, 2)

    assert sample(lambda: endpoint, 7.0) == {
        "at": 7.0, "status": "Updating", "config": "old", "current": 0, "desired": 2,
        "pending": {"config": "new", "current": 2, "desired": 2},
    }  # fmt: skip


def test_at_rest_there_is_one_fleet() -> None:
    row = sample(lambda: {"EndpointStatus": "InService", **fleet("old", 2, 3)}, 7.0)

    assert (row["current"], row["desired"], row["pending"]) == (2, 3, None)


def test_what_could_not_be_read_is_a_row_that_says_so() -> None:
    def refuse() -> dict[str, Any]:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")

    assert sample(refuse, 7.0)["status"] == "unreadable"
    assert sample(refuse, 7.0)["current"] is None
