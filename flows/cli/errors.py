"""What is wrong with a command line, reported like every other error: what, and the way out."""

from __future__ import annotations

import re
from typing import Any

from typer.exceptions import TyperException

from expectations.errors import ExitCode, JifenError, did_you_mean, expected_text

_SAID = {  # what typer's parser says, and what is quoted in it
    r"No such command '(.*)'\.": "没有命令 {0}",
    r"Missing command\.": "缺少命令",
    r"Got unexpected extra argument.*": "有多余的参数",  # not repeated: it may be somebody's ID
    r"Option '(.*)' requires .*": "{0} 后面缺少值",
    r"Option '(.*)' does not take a value\.": "{0} 后面不带值",
    r"No such option: (.*)": "没有选项 {0}",
}


def to_usage_error(error: TyperException) -> JifenError:
    """Return the error of exit code 2 for what typer has against a command line."""
    usage: Any = error  # what it holds besides its message depends on its kind
    context, parameter = getattr(usage, "ctx", None), getattr(usage, "param", None)
    hint = f"用法见 {context.command_path if context else 'jifen'} --help"
    if parameter is None:
        what, meant = _in_chinese(usage)
        return JifenError(ExitCode.USAGE, what, hint="；".join(filter(None, [meant, hint])))
    name = parameter.opts[0] if parameter.param_type_name == "option" else parameter.name.upper()
    if not error.message:
        return JifenError(ExitCode.USAGE, f"缺少 {name}", hint=hint)
    mistakes = usage.__cause__.errors() if usage.__cause__ else [{"type": "", "msg": error.message}]
    return JifenError(ExitCode.USAGE, f"{name} {expected_text(mistakes[0])}", hint=hint)


def _in_chinese(usage: Any) -> tuple[str, str]:
    """Return what the parser says of the line, and what may have been meant."""
    for said, sentence in _SAID.items():
        if found := re.fullmatch(said, usage.message):
            known = getattr(usage, "possibilities", None) or getattr(usage.cmd, "commands", None)
            hint = did_you_mean(found[1], known) if known and found.groups() else ""
            return sentence.format(*found.groups()), hint
    return usage.message, ""
