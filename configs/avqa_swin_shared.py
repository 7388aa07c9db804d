"""Audio-visual question answering (MUSIC-AVQA) with CoPL on a shared Swin-V2-L, as in Table 3 of the paper."""

_base_ = [
    "_base_/encoders/swin_large_shared.yaml",
    "_base_/tuners/copl_avqa.yaml",
    "_base_/tasks/avqa.yaml",
    "_base_/schedules/avqa.yaml",
]
