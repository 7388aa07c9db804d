"""AVE: in each second of a clip, name the event that is both seen and heard, or find that there is none."""

from copl_core.api import ComponentSpec, hookimpl


@hookimpl
def copl_components() -> list[ComponentSpec]:
    """Name the task and its parts."""
    return [
        ComponentSpec("task", "ave", "copl_ave.task:AveTask", "audio-visual event localisation"),
        ComponentSpec("dataset", "ave", "copl_ave.dataset:AVE", "AVE, from its annotation files and videos"),
        ComponentSpec("head", "ave_classifier", "copl_ave.head:AveClassifier", "LAVISH's classifier of segments"),
        ComponentSpec("metric", "segment_accuracy", "copl_ave.metric:SegmentAccuracy", "accuracy over all segments"),
        ComponentSpec("renderer", "event_timeline", "copl_ave.renderer:EventTimeline", "events along the frames"),
    ]
