"""Code that a dense model, a base or a teacher brings along: found, hashed, and run when trusted.

A model brings code where its files name classes of its own: `auto_map` in a config, or a type in
modules.json. The classes lie beside the model, or in another repository of the hub
(`OWNER/NAME--module.Class`), whose files then count too. Trust is kept with the user, by the hash
(`lsr.encoders.learned.model_classes`). A folder is at hand before it is hashed, and only what was
hashed is run. Needs no torch.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsr.encoders.learned.model_classes import has_own_code, is_trusted, trust
from lsr.errors import InputError
from lsr.files import sha256_of

__all__ = ["ModelCode", "brings_code", "settle_code"]

_NAMING = ("config.json", "modules.json", "router_config.json", "tokenizer_config.json")
"""Files that name classes."""

_FEW = (*(f"*{name}" for name in _NAMING), "*.py")
_NEEDLESS = ["*.onnx", "*.h5", "*.msgpack", "*.ot", "onnx/*", "openvino/*"]


@dataclass(frozen=True)
class ModelCode:
    """Code of a model.

    Attributes:
        folder: the model with its code, on this machine.
        sha256: of all code that is run, and of the files that name it.
        files: the hash of each file of code.
    """

    folder: Path
    sha256: str
    files: frozenset[str]

    @classmethod
    def of(cls, name: str) -> ModelCode | None:
        """The code of a model; None where it brings none. A hub id is downloaded, if it has code.

        Raises:
            InputError: it names code that is not at hand.
        """
        found = _described(name)
        if found is None or not has_own_code(_module_folders(found)):
            return None
        if not Path(name).is_dir():
            found = _downloaded(name)
        parts: list[tuple[str, tuple[str, ...], Path]] = [(".", (*_NAMING, "*.py"), found)]
        parts += [(other, ("*.py",), _code_of(other, name)) for other in _others(found)]
        digest = hashlib.sha256()
        files = set()
        for place, patterns, folder in parts:
            for pattern in patterns:
                for file in sorted(folder.rglob(pattern)):
                    told = f"{place} {file.relative_to(folder).as_posix()}"
                    digest.update(f"{len(told)} {told}".encode())
                    content = hashlib.sha256(file.read_bytes())
                    digest.update(content.digest())
                    if file.suffix == ".py":
                        files.add(content.hexdigest())
        return cls(found, digest.hexdigest(), frozenset(files))

    @property
    def is_trusted(self) -> bool:
        """Whether this user trusted this very code."""
        return is_trusted(self.sha256)

    def trust(self) -> None:
        """Keep that this user trusts it. Raises StorageError when that cannot be written."""
        trust(self.sha256, self.folder)


def brings_code(name: str) -> bool:
    """Whether a model names code of its own; False too where there is no such model."""
    found = _described(name)
    return found is not None and has_own_code(_module_folders(found))


def settle_code(folder: Path) -> None:
    """Let a model that was just saved name the code in its own folder alone, where that is found.

    transformers saves code beside the network, which a router keeps in a folder of its own, and
    looks for it in the model's. Names of code that was not saved, which is not run either, go.

    Raises:
        InputError: two networks bring different files of one name.
    """
    for name in ("config.json", "tokenizer_config.json"):
        for file in folder.rglob(name):
            content = _json(file)
            named = content.pop("auto_map", None) if isinstance(content, dict) else None
            if named is None:
                continue
            named = named if isinstance(named, dict) else {"AutoTokenizer": named}
            kept = {kind: _kept(names, file.parent) for kind, names in named.items()}
            if found := {kind: names for kind, names in kept.items() if names is not None}:
                content["auto_map"] = found
            file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")
    for code in sorted(folder.rglob("*.py")):
        place = folder / code.name
        if not place.exists():
            shutil.copyfile(code, place)
        elif sha256_of(place) != sha256_of(code):
            raise InputError(
                f"the model has two networks whose code is in different files {code.name}, and one "
                "folder cannot hold both; take networks with the same code"
            )


def _kept(names: Any, folder: Path) -> Any:
    """What `auto_map` has of one kind, without repositories; None where the folder lacks a file."""
    if isinstance(names, list):  # of a tokenizer: without and with Rust, either may be null
        each = [None if name is None else _kept(name, folder) for name in names]
        return each if any(each) else None
    own = str(names).rpartition("--")[2]
    return own if (folder / f"{own.partition('.')[0]}.py").is_file() else None


def _described(name: str) -> Path | None:
    """The folder of a model, at least with the files that name code; None where there is none."""
    if Path(name).is_dir():
        return Path(name)
    return _of_hub(name, allow_patterns=list(_FEW))


def _downloaded(name: str) -> Path:
    found = _of_hub(name, ignore_patterns=_NEEDLESS)
    if found is None:
        raise InputError(
            f"the model {name!r} is not whole on this machine, and the hub is not reached; give a "
            "folder that holds it, or its hub id while online"
        )
    return found


def _code_of(repository: str, name: str) -> Path:
    found = _of_hub(repository, allow_patterns=["*.py"])
    if found is None or not any(found.rglob("*.py")):
        raise InputError(
            f"the model {name!r} runs code of {repository}, which is not on this machine; try "
            "again while online"
        )
    return found


def _of_hub(name: str, **patterns: Any) -> Path | None:
    """The snapshot of a hub id, downloaded as far as it is asked for; None where there is none."""
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name):
        return None
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, **patterns))
    except (OSError, ValueError):
        return None


def _module_folders(folder: Path) -> Iterator[Path]:
    """The model's own folder, and those of its modules and routes."""
    yield folder
    places = [folder]
    modules = _json(folder / "modules.json")
    if isinstance(modules, list):
        places += [folder / str(each.get("path") or "") for each in modules]
    for place in dict.fromkeys(places):
        if place != folder:
            yield place
        routes = _json(place / "router_config.json")
        if isinstance(routes, dict):
            for names in (routes.get("structure") or {}).values():
                yield from (place / name for name in names)


def _others(folder: Path) -> list[str]:
    """Repositories of the hub whose code the model names."""
    files = [each / name for each in _module_folders(folder) for name in _NAMING]
    told = "".join(file.read_text("utf-8") for file in files if file.is_file())
    return sorted(set(re.findall(r'"([\w.-]+?/[\w.-]+?)--[\w.]+"', told)))


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None
