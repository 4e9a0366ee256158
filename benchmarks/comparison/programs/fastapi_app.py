"""FastAPI under uvicorn, with an async handler: for a model this fast a thread for each request costs more."""

import json

import workload
from fastapi import FastAPI, Request, Response

served = workload.load()
app = FastAPI()


@app.post("/invocations")  # type: ignore[untyped-decorator]
async def invocations(request: Request) -> Response:
    """Answer one request."""
    batch = served.decode(json.loads(await request.body()))
    return Response(json.dumps(served.encode(served.predict(batch))), media_type="application/json")
