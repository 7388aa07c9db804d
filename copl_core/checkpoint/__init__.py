"""prompts.safetensors and head.safetensors: what was trained, without the encoders.

Reading what a file says about itself (``read_header``, ``read_trained_file``) imports no torch; the rest does, on use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from copl_core.checkpoint.header import (
    FORMAT_VERSION,
    HEAD_FILE,
    PROMPTS_FILE,
    Header,
    HeadHeader,
    TrainedFile,
    belong_together,
    read_header,
    read_trained_file,
)
from copl_core.checkpoint.providers import check_components, check_providers

if TYPE_CHECKING:
    from copl_core.checkpoint.files import finish_pair, load_trained, save_trained
    from copl_core.checkpoint.fingerprints import fingerprint

__all__ = [
    "FORMAT_VERSION",
    "HEAD_FILE",
    "PROMPTS_FILE",
    "HeadHeader",
    "Header",
    "TrainedFile",
    "belong_together",
    "check_components",
    "check_providers",
    "fingerprint",
    "finish_pair",
    "load_trained",
    "read_header",
    "read_trained_file",
    "save_trained",
]

_NEEDS_TORCH = {
    "finish_pair": "copl_core.checkpoint.files",
    "load_trained": "copl_core.checkpoint.files",
    "save_trained": "copl_core.checkpoint.files",
    "fingerprint": "copl_core.checkpoint.fingerprints",
}


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is first asked for."""
    if name not in _NEEDS_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_NEEDS_TORCH[name]), name)
