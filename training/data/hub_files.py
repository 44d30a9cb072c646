"""Files of data sets on the Hugging Face hub, as `hf:OWNER/NAME/FILE`."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import hf_hub_download

from lsr.errors import DataError

__all__ = ["is_hub_file", "local_file"]

PREFIX = "hf:"


def is_hub_file(path: str) -> bool:
    """Whether a path names a file of a data set, and not a data set as a whole."""
    return path.startswith(PREFIX) and path.count("/") > 1


def local_file(path: str) -> Path:
    """The file on this machine: of the hub, fetched once into its cache; others as they are.

    Raises:
        DataError: the hub does not have it, or cannot be reached.
    """
    if not is_hub_file(path):
        return Path(path)
    owner, name, file = path.removeprefix(PREFIX).split("/", 2)
    try:
        return Path(hf_hub_download(f"{owner}/{name}", file, repo_type="dataset"))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"could not be fetched ({reason}); check the names, or without a network give a file "
            "that is here",
            path=path,
        ) from error
