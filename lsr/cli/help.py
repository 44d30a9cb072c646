"""Commands and groups whose help is in the order people need it, with whole sentences.

A command's module is imported when the command is used. Its sentence in the list of commands stands
beside its place, so that help imports none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = ["HelpedCommand", "HelpedGroup", "Later"]

_USAGE = (
    (re.compile(r"^\[\[(.+)\]\.\.\.\]\.\.\.$"), r"[\1]..."),
    (re.compile(r"^\{(.+?)(?:\.\.\.)?\}\.\.\.$"), r"\1..."),
    (re.compile(r"^\{(.+)\}$"), r"\1"),
)
"""Arguments of a usage line as typer writes them, and as they are written elsewhere."""


class HelpedCommand(TyperCommand):
    """A command whose usage is written `INDEX [DOC_ID]...`."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        pieces = super().collect_usage_pieces(ctx)
        for pattern, written in _USAGE:
            pieces = [pattern.sub(written, piece) for piece in pieces]
        return pieces


@dataclass(frozen=True)
class Later:
    """A command that is imported when it is used.

    Attributes:
        place: its function, as `module:name`; of a group `module:app`, which is a `typer.Typer`.
        summary: the first sentence of its help.
    """

    place: str
    summary: str

    @property
    def is_group(self) -> bool:
        """Whether it has commands of its own."""
        return self.place.endswith(":app")

    def command(self, name: str) -> Any:
        """The command, imported now."""
        module, _, attribute = self.place.partition(":")
        app = getattr(import_module(module), attribute)
        if not self.is_group:
            function, app = app, typer.Typer(add_completion=False, rich_markup_mode=None)
            app.command(name, cls=HelpedCommand)(function)
        command = typer.main.get_command(app)
        command.name = name
        return command


class _Commands(MutableMapping[str, Any]):
    """Commands by name, each made when it is first asked for."""

    def __init__(self, later: Mapping[str, Later], made: Mapping[str, Any]) -> None:
        self._later = later
        self._made = dict(made)

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = self._later[name].command(name)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._later or name in self._made

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._later, *self._made)))

    def __len__(self) -> int:
        return len({*self._later, *self._made})

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"the command {name} stands in the code")


class HelpedGroup(TyperGroup):
    """A group that lists its commands in its order, and knows those below it.

    Attributes:
        later: commands by name, in the order of help; those that were added follow.
    """

    later: ClassVar[Mapping[str, Later]] = {}

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands(self.later, self.commands)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  # as typer calls it
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        rows = [(name, self._summary(name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _summary(self, name: str) -> str:
        later = self.later.get(name)
        return later.summary if later else _first_sentence(self.commands[name])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is named; for one that is in a group below, that is what is told."""
        word = args[0]
        if word not in self.commands and not ctx.resilient_parsing:
            below: dict[str, list[str]] = {}
            for path in _paths_below(self):
                below.setdefault(path.split()[-1], []).append(f"{ctx.command_path} {path}")
            near = [word] if word in below else []
            if not near and not get_close_matches(word, self.commands):
                near = get_close_matches(word, below)
            if near:
                meant = " or ".join(path for name in near for path in below[name])
                ctx.fail(f"No such command {word!r}. Did you mean {meant}?")
        return super().resolve_command(ctx, args)


def _paths_below(group: HelpedGroup) -> Iterator[str]:
    """Commands of the groups in a group, as `index build`."""
    for name, later in group.later.items():
        if later.is_group:
            below: Any = group.commands[name]
            for path in (*below.commands, *_paths_below(below)):
                yield f"{name} {path}"


def _first_sentence(command: Any) -> str:
    paragraph = " ".join((command.help or "").split("\n\n")[0].split())
    return re.split(r"(?<=\.) ", paragraph, maxsplit=1)[0]
