"""Audio-visual segmentation of several sources (AVSBench-MS3) with CoPL on a shared Swin-V2-L; not in the paper."""

_base_ = [
    "_base_/encoders/swin_large_shared.yaml",
    "_base_/tuners/copl_avs.yaml",
    "_base_/tasks/avs_ms3.yaml",
    "_base_/schedules/avs.yaml",
]

# AVSBench trains its 296 clips for 30 epochs.
schedule = {"epochs": 30}
