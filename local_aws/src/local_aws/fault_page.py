"""`/_local_aws/faults`: GET lists the faults, POST switches one on, DELETE ?id=… (or all) switches off."""

import json

from aiohttp import web

from local_aws.faults import Faults


class FaultsPage:
    """The HTTP handler of the faults, as JSON; an impossible fault is a 400 with the reason."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request."""
        try:
            if request.method == "POST":
                return web.json_response(self._faults.switch_on(json.loads(await request.read())).shown())
            if request.method == "DELETE":
                self._faults.switch_off(request.query.get("id", "all"))
        except ValueError as error:
            return web.json_response({"message": str(error)}, status=400)
        return web.json_response([fault.shown() for fault in self._faults.on.values()])
