"""Commands and groups whose help is in the order people need it, with whole sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, ClassVar

from typer.core import TyperCommand, TyperGroup

__all__ = ["HelpedCommand", "HelpedGroup"]

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


class HelpedGroup(TyperGroup):
    """A group that lists its commands in an order of its own, and knows those below it.

    Attributes:
        order: names of commands, first to last; those it lacks follow as they were added.
    """

    order: ClassVar[tuple[str, ...]] = ()

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  # as typer calls it
        place = {name: number for number, name in enumerate(self.order)}
        return sorted(self.commands, key=lambda name: place.get(name, len(place)))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        rows = [(name, _first_sentence(self.commands[name])) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

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


def _paths_below(group: TyperGroup) -> Iterator[str]:
    """Commands of the groups in a group, as `index build`."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            for path in (*command.commands, *_paths_below(command)):
                yield f"{name} {path}"


def _first_sentence(command: Any) -> str:
    paragraph = " ".join((command.help or "").split("\n\n")[0].split())
    return re.split(r"(?<=\.) ", paragraph, maxsplit=1)[0]
