"""The pattern of AWS's own examples: Flask under gunicorn's sync workers, loaded by each."""

import json

import workload
from flask import Flask, Response, request

served = workload.load()
app = Flask(__name__)


@app.get("/ping")
def ping() -> Response:
    return Response(status=200)


@app.post("/invocations")
def invocations() -> Response:
    batch = served.decode(json.loads(request.get_data()))
    return Response(json.dumps(served.encode(served.predict(batch))), mimetype="application/json")
