"""AVSBench: find the pixels of the sounding objects in five frames of a clip, one source (S4) or several (MS3)."""

from copl_core.api import ComponentSpec, hookimpl


@hookimpl
def copl_components() -> list[ComponentSpec]:
    """Name the task and its parts."""
    return [
        ComponentSpec("task", "avs_s4", "copl_avs.task:AvsS4Task", "audio-visual segmentation, one sound source"),
        ComponentSpec("dataset", "avs_s4", "copl_avs.dataset:AvsS4", "AVSBench S4 in its official layout"),
        ComponentSpec("task", "avs_ms3", "copl_avs.task:AvsMs3Task", "audio-visual segmentation, several sources"),
        ComponentSpec("dataset", "avs_ms3", "copl_avs.dataset:AvsMs3", "AVSBench MS3 in its official layout"),
        ComponentSpec("head", "avs_decoder", "copl_avs.decoder:AvsDecoder", "AVSBench decoder with TPAVI"),
        ComponentSpec("metric", "segmentation", "copl_avs.metric:SegmentationMetric", "mIoU and F-score of AVSBench"),
        ComponentSpec("renderer", "mask_overlay", "copl_avs.renderer:MaskOverlay", "masks drawn over the frames"),
    ]
