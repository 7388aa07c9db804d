"""MUSIC-AVQA: answer questions about who plays and what sounds in a video of a minute."""

from copl_core.api import ComponentSpec, hookimpl


@hookimpl
def copl_components() -> list[ComponentSpec]:
    """Name the task and its parts."""
    return [
        ComponentSpec("task", "avqa", "copl_avqa.task:AvqaTask", "audio-visual question answering"),
        ComponentSpec("dataset", "avqa", "copl_avqa.dataset:MusicAVQA", "MUSIC-AVQA, either edition of its questions"),
        ComponentSpec("head", "avst", "copl_avqa.head:Avst", "AVST as LAVISH has it, questions read by an LSTM"),
        ComponentSpec(
            "head",
            "avst_sentence",
            "copl_avqa.sentence:AvstSentence",
            "AVST, questions read by a frozen sentence model",
        ),
        ComponentSpec("metric", "answer_accuracy", "copl_avqa.metric:AnswerAccuracy", "accuracy overall and by type"),
        ComponentSpec("renderer", "answer_card", "copl_avqa.renderer:AnswerCard", "frames, question and best answers"),
    ]
