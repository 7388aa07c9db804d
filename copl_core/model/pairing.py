"""Which visual block is walked together with which audio block."""

from collections.abc import Sequence

Step = tuple[int | None, int | None]


def pair_blocks(visual_stages: Sequence[int], audio_stages: Sequence[int]) -> list[Step]:
    """Order the blocks of both encoders into steps.

    Encoders with the same number of stages are paired stage by stage, others as a whole. Within a stage of unequal
    depth the shallower side's block j is paired with block ``floor((j + 1) * long / short) - 1`` of the deeper side
    (18 against 6: block 3 j + 2), whose other blocks are walked alone.

    Args:
        visual_stages: Number of blocks in each stage of the visual encoder.
        audio_stages: The same of the audio encoder.

    Returns:
        Steps (visual block, audio block), in walking order; None on the side that rests.
    """
    if len(visual_stages) != len(audio_stages):
        visual_stages, audio_stages = [sum(visual_stages)], [sum(audio_stages)]
    steps: list[Step] = []
    visual_start = audio_start = 0
    for visual_depth, audio_depth in zip(visual_stages, audio_stages, strict=True):
        long, short = max(visual_depth, audio_depth), min(visual_depth, audio_depth)
        partner = {(j + 1) * long // short - 1: j for j in range(short)}
        for i in range(long):
            j = partner.get(i)
            deep, shallow = (visual_start, audio_start) if visual_depth >= audio_depth else (audio_start, visual_start)
            step = (deep + i, None if j is None else shallow + j)
            steps.append(step if visual_depth >= audio_depth else (step[1], step[0]))
        visual_start += visual_depth
        audio_start += audio_depth
    return steps
