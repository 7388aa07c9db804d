"""A web page on which trained prompts are used on videos: ``copl serve``."""

from copl_core.serve.server import Settings, serve

__all__ = ["Settings", "serve"]
