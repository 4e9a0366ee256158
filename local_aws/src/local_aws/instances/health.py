"""The pings of all instances, through one HTTP client."""

import aiohttp


class Pinger:
    """The HTTP client of all pings, made and closed within one event loop."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def ping(self, url: str, timeout: float) -> bool:
        """Check whether GET url/ping answers 200 within `timeout` seconds."""
        if self._session is None:
            # A kept connection would hold up the draining server at the other end.
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        try:
            limit = aiohttp.ClientTimeout(total=timeout)
            async with self._session.get(f"{url}/ping", timeout=limit, allow_redirects=False) as answer:
                return answer.status == 200
        except (TimeoutError, aiohttp.ClientError, ConnectionError):
            return False

    async def close(self) -> None:
        """Close the client. Repeatable."""
        if self._session is not None:
            await self._session.close()
            self._session = None
