"""The floor under every Flask application: the same stack, without a model."""

from flask import Flask, Response, request

app = Flask(__name__)


@app.post("/invocations")
def invocations() -> Response:
    request.get_data()
    return Response("{}", mimetype="application/json")
