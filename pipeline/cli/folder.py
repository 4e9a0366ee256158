"""The group of commands, read from a package's folder: nothing else lists them."""

import pkgutil
from importlib import import_module
from types import ModuleType
from typing import Any

import click

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


class CommandFolder(click.Group):
    """One command for each module of a package, imported when it is first needed.

    The module's name, with `-` for `_`, is the command's; its attribute `command` is the click command.
    """

    def __init__(self, package: ModuleType, **attrs: Any) -> None:
        super().__init__(
            context_settings=SETTINGS,
            options_metavar="",
            subcommand_metavar="COMMAND [OPTIONS]",
            **attrs,
        )
        self.package = package

    def list_commands(self, ctx: click.Context | None = None) -> list[str]:  # noqa: ARG002
        """Return the names of all commands, sorted."""
        modules = pkgutil.iter_modules(self.package.__path__)
        return sorted(each.name.replace("_", "-") for each in modules if not each.ispkg)

    def get_command(self, ctx: click.Context | None, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command; None when there is no such module."""
        if cmd_name not in self.list_commands():
            return None
        module = import_module(f"{self.package.__name__}.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that `args` name; the error for an unknown one suggests the closest."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            known = self.list_commands()
            raise click.NoSuchCommand(error.command_name, possibilities=known, ctx=ctx) from None

    def parse(self, args: list[str]) -> click.Context:
        """Parse a command line without running it. Raises click.UsageError when it is not valid."""
        name, command, rest = self.resolve_command(click.Context(self), list(args))
        assert command is not None  # resolve_command has raised otherwise
        return command.make_context(name, rest)
