"""From a template to a page."""

import math
from pathlib import Path
from typing import Any

from copl_core.api import ConfigError
from copl_core.atomic import write_text

#: Stands where there is no value.
NONE = "-"


def write_page(path: Path, template: str, **values: Any) -> None:
    """Fill a template of ``templates/`` and write the page.

    Args:
        path: The page; its folder is made if missing.
        template: File name of the template.
        values: What it reads. Text is escaped, wherever it comes from.

    Raises:
        ConfigError: Jinja2 is not installed, or the page can't be written.
    """
    check_installed()
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("copl_core.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"score": format_score, "cell": format_cell, "size": format_size}
    # JSON can hold half a character, as which it cannot be written.
    text = environment.get_template(template).render(**values).encode("utf-8", "replace").decode("utf-8")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror or error}; choose another place with --out") from error


def check_installed() -> None:
    """Refuse to start without the extra ``report``.

    Raises:
        ConfigError: Says what to install.
    """
    try:
        import jinja2  # noqa: F401
    except ImportError:
        raise ConfigError("pages need Jinja2: pip install 'copl[report]'") from None


def format_score(value: float | None) -> str:
    """Four digits; a dash for none."""
    return NONE if value is None else f"{value:.4f}" if math.isfinite(value) else str(value)


def format_cell(value: int | float) -> str:
    """A count or a score."""
    return f"{value:,}" if isinstance(value, int) else format_score(value)


def format_size(count: int) -> str:
    """Bytes, in units of 1000."""
    return f"{count / 1e6:,.2f} MB" if count >= 10_000 else f"{count / 1e3:,.2f} kB"
