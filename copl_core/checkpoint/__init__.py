"""prompts.safetensors and head.safetensors: what was trained, without the encoders."""

from copl_core.checkpoint.files import HEAD_FILE, PROMPTS_FILE, Header, load_trained, read_header, save_trained
from copl_core.checkpoint.fingerprint import fingerprint

__all__ = ["HEAD_FILE", "PROMPTS_FILE", "Header", "fingerprint", "load_trained", "read_header", "save_trained"]
