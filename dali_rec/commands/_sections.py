"""``--help`` of a command with many options: under headings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def in_sections(sections: Mapping[str, Sequence[str]]) -> type[TyperCommand]:
    """A kind of command whose help has the options of parameters of these names under these headings.

    Arguments come first, and options that stand under no heading last.
    """

    class Sectioned(TyperCommand):
        def format_options(self, ctx: Any, formatter: Any) -> None:
            heading_of = {name: heading for heading, names in sections.items() for name in names}
            lines: dict[str, list[tuple[str, str]]] = {heading: [] for heading in ("Arguments", *sections, "Options")}
            for parameter in self.get_params(ctx):
                line = parameter.get_help_record(ctx)
                kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
                if line is not None:
                    lines[heading_of.get(parameter.name or "", kind)].append(line)
            for heading, some in lines.items():
                if some:
                    with formatter.section(heading):
                        formatter.write_dl(some)

    return Sectioned
