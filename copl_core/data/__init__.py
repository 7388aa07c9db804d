"""Reading clips: images, audio, collation. Knows the input specs of the contracts and no data set.

torchaudio and soundfile are imported on first use of audio, so that a task without sound does not pay for them.
"""

from copl_core.data.audio import AudioRecipe, audio_segments, log_mel, read_wav, segment_starts
from copl_core.data.collate import DataFailure, GuardedDataset, collate, raise_failure
from copl_core.data.image import open_image, read_image, to_input

__all__ = [
    "AudioRecipe",
    "DataFailure",
    "GuardedDataset",
    "audio_segments",
    "collate",
    "log_mel",
    "open_image",
    "raise_failure",
    "read_image",
    "read_wav",
    "segment_starts",
    "to_input",
]
