"""The Scaling page in a browser, beside Locust's own, while an endpoint scales and a release is deployed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from local_aws.testing import wait_until
from tests.load_tests.chromium import chromium
from tests.load_tests.scaled_endpoint import BOUND_SECONDS, ENDPOINT, TARGET, ScaledEndpoint, scaled_endpoint

pytestmark = pytest.mark.starts_processes

PLOTS = ("rate", "latency", "instances", "tracked", "alarms", "releases")
PHONE: ViewportSize = {"width": 390, "height": 844}
BOUND_MS = 60_000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScaledEndpoint]:
    with scaled_endpoint(tmp_path_factory.mktemp("scaling")) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def page(running: ScaledEndpoint, browser: Browser) -> Iterator[Page]:
    """Open the page; fail the test if the page logged an error."""
    opened = browser.new_page(viewport=PHONE)
    errors: list[str] = []
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(f"{running.url}/scaling")
    yield opened
    opened.close()
    assert errors == []


def drawn(page: Page, plot: str) -> list[dict[str, Any]]:
    """Return the traces of a plot, with their names and values."""
    traces = f"document.getElementById('{plot}').data?.map(({{name, y}}) => ({{name, y}})) ?? []"
    found: list[dict[str, Any]] = json.loads(page.evaluate(f"JSON.stringify({traces})"))
    return found


def last(page: Page, plot: str, name: str) -> float | None:
    values = [value for trace in drawn(page, plot) if trace["name"] == name for value in trace["y"]]
    known = [value for value in values if value is not None]
    return known[-1] if known else None


def wait_for(page: Page, condition: str, what: str) -> None:
    """Wait until a condition on the page's plots holds."""
    try:
        page.wait_for_function(condition, timeout=BOUND_MS)
    except Exception as error:
        state = {plot: [(t["name"], t["y"][-3:]) for t in drawn(page, plot)] for plot in PLOTS}
        raise AssertionError(f"{what}: {state}") from error


def test_locusts_own_page_leads_to_it(running: ScaledEndpoint, browser: Browser) -> None:
    own = browser.new_page()
    own.goto(running.url)
    own.get_by_role("link", name="Scaling", exact=True).click()

    expect(own.get_by_role("heading", name=ENDPOINT)).to_be_visible()
    own.close()


def test_a_load_above_the_target_is_seen_with_what_the_policy_does_about_it(
    running: ScaledEndpoint, page: Page
) -> None:
    running.load(30)  # a second, where one instance is meant to get 10

    wait_for(page, "Math.max(...(document.getElementById('instances').data?.[0].y ?? [0])) >= 3", "scale-out")
    wait_for(page, "(document.getElementById('tracked').data?.[1].y.at(-1) ?? 0) > 0", "the policy's target")
    for plot in PLOTS:
        expect(page.locator(f"#{plot} .main-svg").first).to_be_visible()
    assert last(page, "rate", "offered") == 30
    assert (last(page, "rate", "served") or 0) > 20
    assert (last(page, "latency", "p99") or 0) > 0
    assert last(page, "tracked", "target") == TARGET
    assert (last(page, "tracked", "measured") or 0) > 0
    assert "scaling AlarmHigh" in [name for trace in drawn(page, "alarms") for name in trace["y"]]
    assert last(page, "releases", "r1") == 100
    expect(page.locator("#status")).to_have_text("InService")


def test_values_move_without_a_reload(running: ScaledEndpoint, page: Page) -> None:
    running.load(30)
    before = page.evaluate("document.getElementById('rate').data?.[0].y.length ?? 0")

    wait_for(page, f"document.getElementById('rate').data[0].y.length > {before} + 2", "new rows")


def test_a_deployment_is_seen_as_two_fleets_and_two_releases(running: ScaledEndpoint, page: Page) -> None:
    running.load(20)
    running.deploy("r2")

    both = "document.getElementById('releases').data?.filter(({y}) => y.some((v) => v > 0 && v < 100)).length >= 2"
    wait_for(page, both, "a share for each of two releases")
    wait_for(
        page,
        "document.getElementById('releases').data?.find(({name}) => name === 'r2')?.y.at(-1) === 100",
        "r2 alone",
    )
    wait_until(lambda: running.status() == "InService", "end of the deployment", BOUND_SECONDS)


def test_it_fits_on_a_phone(page: Page) -> None:
    wait_for(page, "document.getElementById('rate').data", "plots")

    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_what_aws_refuses_is_said_on_the_page(running: ScaledEndpoint, browser: Browser) -> None:
    """An endpoint that does not exist: the plots may stay empty, but the page must name the reason."""
    page = browser.new_page()
    running.load(1, endpoint="digits-nowhere")
    page.goto(f"{running.url}/scaling")

    expect(page.get_by_role("alert")).to_contain_text("digits-nowhere", timeout=BOUND_MS)
    page.close()
