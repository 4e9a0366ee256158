"""The Scaling page beside Locust's own: live plots of load, latency, fleet, scaling, alarms and releases."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import gevent
from flask import Blueprint, Response, jsonify, request
from locust.web import WebUI

from load_tests.scaling_history import ScalingHistory

HERE = Path(__file__).parent
LINK = (
    '<a href="scaling" style="position:fixed;right:16px;bottom:16px;z-index:9999;padding:8px 16px;'
    'border-radius:999px;background:#2563eb;color:#fff;font:600 14px system-ui;text-decoration:none">Scaling</a>'
)


def add(web_ui: WebUI, history: ScalingHistory) -> gevent.Greenlet:
    """Add the page at /scaling, and a link to it on Locust's page. Return the greenlet that records its rows."""
    pages = Blueprint("scaling", __name__)

    @pages.get("/scaling")
    @web_ui.auth_required_if_enabled  # type: ignore[untyped-decorator]
    def page() -> Response:
        return Response((HERE / "page.html").read_text(), mimetype="text/html")

    @pages.get("/scaling/<any('page.js', 'page.css'):name>")
    @web_ui.auth_required_if_enabled  # type: ignore[untyped-decorator]
    def part(name: str) -> Response:
        kinds = {"page.js": "text/javascript", "page.css": "text/css"}
        return Response((HERE / name).read_text(), mimetype=kinds[name])

    @pages.get("/scaling/plotly.js")
    @web_ui.auth_required_if_enabled  # type: ignore[untyped-decorator]
    def plotly() -> Response:
        """Serve the script that plotly's Python package ships: no network is needed."""
        script = files("plotly").joinpath("package_data/plotly.min.js").read_bytes()
        return Response(script, mimetype="text/javascript", headers={"Cache-Control": "max-age=86400"})

    @pages.get("/scaling/rows")
    @web_ui.auth_required_if_enabled  # type: ignore[untyped-decorator]
    def rows() -> Any:
        after = request.args.get("after", default=0.0, type=float)
        return jsonify(
            {"endpoint": history.endpoint, "problem": history.problem, "rows": history.after(after)}
        )

    @web_ui.app.after_request  # type: ignore[untyped-decorator]
    def link(response: Response) -> Response:
        if request.path == "/" and response.mimetype == "text/html":
            response.direct_passthrough = False
            response.set_data(response.get_data(as_text=True).replace("</body>", f"{LINK}</body>"))
        return response

    web_ui.app.register_blueprint(pages)
    return gevent.spawn(history.record)
