"""Programs that run in a process of their own, for Prefect reads its environment when it is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any


def child(program: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start a program in Python, without what the environment says of Prefect."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")
    }
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **options,
    )
