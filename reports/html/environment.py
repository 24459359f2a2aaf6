"""The templates of all pages, in `templates/`."""

from __future__ import annotations

from pathlib import Path

from reports.templating import load_templates

TEMPLATES = Path(__file__).parent / "templates"


def render_template(name: str, **values: object) -> str:
    """Return a page: a template of `templates/` filled with values, which are escaped."""
    return load_templates(TEMPLATES).get_template(name).render(values)
