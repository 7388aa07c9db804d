"""Training and testing through MMEngine's runner. The only room, with config/, that imports mmengine."""

from copl_core.config import mmengine_yaml  # noqa: F401 - MMEngine then reads YAML by our rules
from copl_core.engine.build import Session, build_session
from copl_core.engine.test import test
from copl_core.engine.train import TrainResult, train

__all__ = ["Session", "TrainResult", "build_session", "test", "train"]
