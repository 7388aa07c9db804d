"""Audio-visual question answering (MUSIC-AVQA) with CoPL on Swin-V2-L and HTS-AT, as in Table 3 of the paper."""

_base_ = [
    "_base_/encoders/swin_large_htsat.yaml",
    "_base_/tuners/copl_avqa.yaml",
    "_base_/tasks/avqa.yaml",
    "_base_/schedules/avqa.yaml",
]

# As DG-SCT: one second of sound to a frame, repeated to fill ten.
task = {"dataset": {"audio": {"seconds": 1.0}}}
tuner = {"prompts": {"interaction": {"mapper": {"width": 16}}}}
