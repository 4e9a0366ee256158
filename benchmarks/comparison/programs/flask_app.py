"""Flask under gunicorn's sync workers, as in AWS's own examples; each worker loads the model."""

import json

import workload
from flask import Flask, Response, request

served = workload.load()
app = Flask(__name__)


@app.get("/ping")
def ping() -> Response:
    """Answer the health check."""
    return Response(status=200)


@app.post("/invocations")
def invocations() -> Response:
    """Answer one request."""
    batch = served.decode(json.loads(request.get_data()))
    return Response(json.dumps(served.encode(served.predict(batch))), mimetype="application/json")
