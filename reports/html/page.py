"""Pages of figures: one HTML file each, nothing loaded from anywhere; readable narrow, printed, and without colours."""

from __future__ import annotations

from html import escape

from reports.html.environment import TEMPLATES

STYLE = (TEMPLATES / "page.css").read_text(encoding="utf-8")


def render_document(title: str, body: str, style: str = "") -> str:
    """A body in the shared hand; `style`: what this kind of page adds to it."""
    return f"""<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><link rel="icon" href="data:,"><style>{STYLE}{style}</style></head><body>
{body}
</body></html>
"""
