"""Audio-visual event localisation (AVE) with CoPL on Swin-V2-L and HTS-AT, as in Table 1 of the paper."""

_base_ = [
    "_base_/encoders/swin_large_htsat.yaml",
    "_base_/tuners/copl_ave.yaml",
    "_base_/tasks/ave.yaml",
    "_base_/schedules/ave.yaml",
]

tuner = {"prompts": {"interaction": {"mapper": {"width": 17}}}}
