"""CoPL: collaborative prompt learning on frozen audio-visual encoders, as a plugin framework.

This module stays light: importing it imports neither torch nor mmengine.
"""

__version__ = "0.1.0"
