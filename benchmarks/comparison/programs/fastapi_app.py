"""FastAPI under uvicorn. The handler is async: for models this quick a thread for each request costs more."""

import json

import workload
from fastapi import FastAPI, Request, Response

served = workload.load()
app = FastAPI()


@app.post("/invocations")
async def invocations(request: Request) -> Response:
    batch = served.decode(json.loads(await request.body()))
    return Response(json.dumps(served.encode(served.predict(batch))), media_type="application/json")
