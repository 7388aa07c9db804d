"""Audio-visual event localisation (AVE) with CoPL on a shared Swin-V2-L, as in Table 1 of the paper."""

_base_ = [
    "_base_/encoders/swin_large_shared.yaml",
    "_base_/tuners/copl_ave.yaml",
    "_base_/tasks/ave.yaml",
    "_base_/schedules/ave.yaml",
]
