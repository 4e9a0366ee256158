"""A Flask application without a model: the cost of the stack alone."""

from flask import Flask, Response, request

app = Flask(__name__)


@app.post("/invocations")
def invocations() -> Response:
    """Read the request and answer an empty object."""
    request.get_data()
    return Response("{}", mimetype="application/json")
