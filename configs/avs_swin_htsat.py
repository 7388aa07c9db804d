"""Audio-visual segmentation (AVSBench-S4) with CoPL on Swin-V2-L and HTS-AT, as in Table 2 of the paper."""

_base_ = [
    "_base_/encoders/swin_large_htsat.yaml",
    "_base_/tuners/copl_avs.yaml",
    "_base_/tasks/avs_s4.yaml",
    "_base_/schedules/avs.yaml",
]

# As DG-SCT: one second of sound to a frame, repeated to fill five.
encoders = {"audio": {"samples": 160_000}}
task = {"dataset": {"audio": {"seconds": 1.0}}}
tuner = {"prompts": {"interaction": {"mapper": {"width": 124}}}}
