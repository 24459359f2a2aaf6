"""The `jifen` command: its commands put together; every error a sentence and an exit code."""

from __future__ import annotations

import codecs
import importlib.metadata
import os
import sys
from io import TextIOWrapper
from typing import Annotated

import typer
from typer.exceptions import TyperException

from expectations.errors import ExitCode, JifenError, to_user_error
from flows.cli.errors import to_usage_error
from flows.cli.options import (
    CommandOptions,
    ConfigOption,
    DebugOption,
    RootOption,
    print_line,
)
from flows.cli.query_commands import query_app
from flows.cli.run_commands import run_app

app = typer.Typer(
    help="积分：按月为全市新居民计分。每条命令的用法见 jifen COMMAND --help。",
    add_completion=False,
    suggest_commands=False,
    pretty_exceptions_enable=False,
)


def _show_version(asked: bool) -> None:
    if asked:
        print_line(f"jifen {importlib.metadata.version('jifen')}")
        raise typer.Exit


@app.callback()
def set_options(
    context: typer.Context,
    config: ConfigOption = None,
    root: RootOption = None,
    debug: DebugOption = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="显示版本")
    ] = False,
) -> None:
    """Take up the options that stand before the command."""
    options = context.ensure_object(CommandOptions)
    options.add({"config": config, "root": root, "debug": debug})


app.add_typer(run_app)
app.add_typer(query_app)


def main() -> None:
    """Run the command; every error ends as a sentence and an exit code, never as a stack trace."""
    _require_utf8_paths()
    _prepare_streams()
    options = CommandOptions()
    failure: JifenError | None = None
    try:
        sys.exit(app(sys.argv[1:] or ["--help"], standalone_mode=False, obj=options))
    except typer.Abort:  # at a prompt
        failure = JifenError(ExitCode.OTHER, "已取消")
    except TyperException as error:
        failure = to_usage_error(error)
    except Exception as error:
        if options.debug:
            raise
        # Finalisers of half-written files would complain with a trace of their own.
        sys.unraisablehook = lambda _: None
        failure = to_user_error(error).with_traceback(None)
    # Outside the handler: the error's frames, and the engine's connections, are let go first.
    print(failure, file=sys.stderr, flush=True)
    sys.exit(failure.code)


def _require_utf8_paths() -> None:
    """Start again with paths in UTF-8 where the locale has another encoding.

    The engine takes every path for UTF-8. The standard streams keep the locale's encoding.
    """
    if codecs.lookup(sys.getfilesystemencoding()).name == "utf-8" or sys.flags.utf8_mode:
        return
    streams = os.environ.get("PYTHONIOENCODING") or str(getattr(sys.stdout, "encoding", "utf-8"))
    environment = {**os.environ, "PYTHONUTF8": "1", "PYTHONIOENCODING": streams}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def _replace_unwritable(error: UnicodeError) -> tuple[str, int]:
    """Replace what the encoding of a stream has not: a minus sign by a hyphen, ✔ by √."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character, "?") for character in text), error.end


_PLAIN = {"−": "-", "✔": "√", "✖": "×", "‖": "||", "│": "|", "─": "-"}


def _prepare_streams() -> None:
    """Use UTF-8 where a standard stream cannot take Chinese, nothing where it is closed.

    A character that GBK has not is written as the nearest one that it has.
    """
    codecs.register_error("jifen", _replace_unwritable)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # in its place: no other file may get its number
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        elif isinstance(stream, TextIOWrapper):
            try:
                "积分".encode(stream.encoding)
            except UnicodeEncodeError:
                stream.reconfigure(encoding="utf-8")
            stream.reconfigure(errors="jifen")
