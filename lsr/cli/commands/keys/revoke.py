"""`lsr keys revoke`: remove an API key."""

from __future__ import annotations

from typing import Annotated

import typer

from lsr.cli.commands.keys.create import KeysFile
from lsr.cli.console import complain

__all__ = ["revoke"]


def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As lsr keys list shows it.")],
    keys: KeysFile,
) -> None:
    """Remove an API key; a running service refuses it from the next request on.

    Example: lsr keys revoke 3f9a1c --keys keys.json
    """
    from lsr.service.security.keys import KeyFile

    key = KeyFile(keys).revoke(key_id)
    complain(f"revoked key {key.id} ({key.name})")
