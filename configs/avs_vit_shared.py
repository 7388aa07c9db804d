"""Audio-visual segmentation (AVSBench-S4) with CoPL on a shared ViT-L/16, as in Table 2 of the paper."""

_base_ = [
    "_base_/encoders/vit_large_shared.yaml",
    "_base_/tuners/copl_avs.yaml",
    "_base_/tasks/avs_s4.yaml",
    "_base_/schedules/avs.yaml",
]

# Spectrograms of the size the Swin encoder reads: the default, for one second, would cut these of 1.95 s in half.
encoders = {"visual": {"audio_size": [192, 192]}}
tuner = {"prompts": {"interaction": {"last": 4, "mapper": {"width": 365}}}}
