"""Collections: documents beside their vectors in a folder, built, changed, and searched.

`build` and `update` write generations, `reader` opens one. `lsr.Collection` is the handle for all.
"""

import warnings
from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    """`Collection` by the path it had in version 0.1."""
    if name != "Collection":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(
        "lsr.index.collection.Collection is lsr.Collection now, opened by lsr.open; the old path "
        "goes with version 0.3",
        DeprecationWarning,
        stacklevel=2,
    )
    return import_module("lsr.collection").Collection
