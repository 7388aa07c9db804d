"""Audio-visual event localisation (AVE) with CoPL on a shared ViT-L/16, as in Table 1 of the paper."""

_base_ = [
    "_base_/encoders/vit_large_shared.yaml",
    "_base_/tuners/copl_ave.yaml",
    "_base_/tasks/ave.yaml",
    "_base_/schedules/ave.yaml",
]

# Its spectrograms are smaller than those of the Swin encoder, and normalised by their own statistics.
task = {"dataset": {"audio": {"frame_shift_ms": 10, "mean": -4.1426, "std": 3.2001}}}
tuner = {"prompts": {"interaction": {"last": 4, "mapper": {"width": 404}}}}
