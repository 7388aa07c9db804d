"""Training and testing through MMEngine's runner. The only room, with config/, that imports mmengine."""

from copl_core.engine.build import Session, build_session
from copl_core.engine.test import test
from copl_core.engine.train import train

__all__ = ["Session", "build_session", "test", "train"]
