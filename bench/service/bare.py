"""Routes that do nothing but answer with a body of a size: what a request costs at least.

    python -m bench.service.bare SIZE

`/sync` is the plain kind of route: checked by pydantic on the way in and out, run in a thread.
`/async` does the same on the event loop. Prints its address when it answers.
"""

from __future__ import annotations

import socket
import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

__all__ = ["bare_app"]


class Question(BaseModel):
    """What a bare route reads."""

    text: str


class Said(BaseModel):
    """What a bare route answers."""

    text: str


def bare_app(size: int) -> FastAPI:
    """An application whose routes answer with about `size` bytes."""
    app = FastAPI()
    body = "x" * max(0, size - len('{"text":""}'))

    @app.post("/sync")
    def threaded(question: Question) -> Said:  # noqa: ARG001
        return Said(text=body)

    @app.post("/async")
    async def looped(question: Question) -> Said:  # noqa: ARG001
        return Said(text=body)

    return app


def _main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=2_048)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(bare_app(int(sys.argv[1])), log_config=None, access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    _main()
