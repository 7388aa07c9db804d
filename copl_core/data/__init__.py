"""Reading clips: images, audio, collation. Knows the input specs of the contracts and no data set.

torchaudio, soundfile and PyAV are imported on first use, so that a task without sound or video does not pay for them.
"""

from copl_core.data.audio import AudioRecipe, audio_segments, check_wav, log_mel, read_wav, resample, segment_starts
from copl_core.data.cache import CacheSettings, create_cache, write_cached_clip
from copl_core.data.clips import Clip, Durations, Sampling, frame_times
from copl_core.data.collate import DataFailure, GuardedDataset, collate, raise_failure
from copl_core.data.image import open_image, read_image, to_input
from copl_core.data.media import MediaFolder, MediaLayout, MissingAudio
from copl_core.data.problems import OnError, Problem, ProblemsError, in_order, lost, refuse, settle
from copl_core.data.recording import Recording, Window, find_recordings
from copl_core.data.redraw import redraw_video
from copl_core.data.sound_picture import draw_sound
from copl_core.data.soundtrack import read_sound, read_sound_pieces
from copl_core.data.video import VideoInfo, probe, read_frames

__all__ = [
    "AudioRecipe",
    "CacheSettings",
    "Clip",
    "DataFailure",
    "Durations",
    "GuardedDataset",
    "MediaFolder",
    "MediaLayout",
    "MissingAudio",
    "OnError",
    "Problem",
    "ProblemsError",
    "Recording",
    "Sampling",
    "VideoInfo",
    "Window",
    "audio_segments",
    "check_wav",
    "collate",
    "create_cache",
    "draw_sound",
    "find_recordings",
    "frame_times",
    "in_order",
    "log_mel",
    "lost",
    "open_image",
    "probe",
    "raise_failure",
    "read_frames",
    "read_image",
    "read_sound",
    "read_sound_pieces",
    "read_wav",
    "redraw_video",
    "refuse",
    "resample",
    "segment_starts",
    "settle",
    "to_input",
    "write_cached_clip",
]
