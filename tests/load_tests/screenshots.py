"""Take the screenshots of the Scaling page in docs/images, during a real scale-out and a real canary.

python -m tests.load_tests.screenshots        (make screenshots)
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, ViewportSize

from local_aws.testing import wait_until
from tests.load_tests.chromium import chromium
from tests.load_tests.scaled_endpoint import BOUND_SECONDS, ROOT, scaled_endpoint

IMAGES = ROOT / "docs" / "images"
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
CHANGE_SECONDS = 15  # of load before and after each change, so that the change is in the middle of the plots


def main() -> int:
    """Take the screenshots and print their files."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        scaled_endpoint(Path(folder)) as running,
        chromium() as browser,
    ):
        page = browser.new_page(viewport=DESKTOP)
        page.goto(f"{running.url}/scaling")
        running.load(8)
        _wait_for_rows(page, CHANGE_SECONDS)
        running.load(25)
        _wait_for_instances(page, 3)
        _wait_for_rows(page, CHANGE_SECONDS)
        running.deploy("r2")
        wait_until(lambda: running.status() == "InService", "end of the deployment", BOUND_SECONDS)
        _wait_for_rows(page, CHANGE_SECONDS)
        page.screenshot(path=IMAGES / "scaling.png", full_page=True)
        page.set_viewport_size(PHONE)
        _wait_for_rows(page, 2)
        page.screenshot(path=IMAGES / "scaling-phone.png")
    for path in sorted(IMAGES.glob("scaling*.png")):
        print(path.relative_to(ROOT), f"{path.stat().st_size // 1024} kB")
    return 0


def _wait_for_rows(page: Page, seconds: int) -> None:
    """Wait until the plots have `seconds` more rows; there is one a second."""
    rows = page.evaluate("document.getElementById('rate').data?.[0].y.length ?? 0")
    page.wait_for_function(
        f"document.getElementById('rate').data?.[0].y.length >= {rows + seconds}", timeout=90_000
    )


def _wait_for_instances(page: Page, count: int) -> None:
    page.wait_for_function(
        f"document.getElementById('instances').data?.[0].y.at(-1) >= {count}", timeout=90_000
    )


if __name__ == "__main__":
    sys.exit(main())
