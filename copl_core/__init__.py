"""CoPL: collaborative prompt learning on frozen audio-visual encoders, as a plugin framework.

The Python API: ``load_config``, ``build``, ``train``, ``evaluate`` and ``load``; mistakes raise ``CoplError``. This
module stays light: importing it imports neither torch nor mmengine, the first use of one of these functions does.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from copl_core.api import CoplError
    from copl_core.python_api import build, evaluate, load, load_config, train

__version__ = "0.1.0"

__all__ = ["CoplError", "__version__", "build", "evaluate", "load", "load_config", "train"]


def __getattr__(name: str) -> Any:
    """Import a name of the API when it is first asked for."""
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("copl_core.api" if name == "CoplError" else "copl_core.python_api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
