"""Audio-visual segmentation (AVSBench-S4) with CoPL on a shared Swin-V2-L, as in Table 2 of the paper."""

_base_ = [
    "_base_/encoders/swin_large_shared.yaml",
    "_base_/tuners/copl_avs.yaml",
    "_base_/tasks/avs_s4.yaml",
    "_base_/schedules/avs.yaml",
]
