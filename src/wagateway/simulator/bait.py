"""A place that nobody should ever ask: it remembers who did, so that a test can say: nobody.

bait = Bait()
with in_thread(bait) as url: ...  # a Media with this bait_url names it in events
assert not bait.requests
"""

from wagateway.simulator.asgi import Message, Receive, Send

_ANSWER = b"You should not be here."


class Bait:
    """An ASGI application.

    Attributes:
        requests: the method and path of each request that came.
        keys: how many of them brought WAHA's API key along.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.keys = 0

    async def __call__(self, scope: Message, _receive: Receive, send: Send) -> None:
        """Remember the request, and answer it."""
        if scope["type"] != "http":
            return
        self.requests.append(f"{scope['method']} {scope['path']}")
        self.keys += any(name.lower() == b"x-api-key" for name, _ in scope["headers"])
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(_ANSWER))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": _ANSWER})
