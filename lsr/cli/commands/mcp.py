"""`lsr mcp`: an index as tools of a language model."""

from __future__ import annotations

import signal

from lsr.cli.index_options import IndexPath

__all__ = ["mcp"]


def mcp(index: IndexPath) -> None:
    """Offer an index to a language model, as the tools search and read of MCP over stdio.

    It is started by the program that the model runs in, and ends when its input does.

    Example: lsr mcp my-index
    """
    from lsr.integrations.mcp import serve, server_of

    server = server_of(index)
    # a thread that waits for input would hold the process up; nothing is written, so none is lost
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    serve(server)
