"""Disks of a test's own: a mount namespace in which an ordinary user may mount."""

from __future__ import annotations

NAMESPACE = ("unshare", "--map-root-user", "--mount")
