"""CoPL's tuner and its prompts: global, frame, interaction; the prompt banks; and the baselines frozen, vpt, full."""

from collections.abc import Iterable

from copl_core.api import ComponentSpec, hookimpl


@hookimpl
def copl_components() -> Iterable[ComponentSpec]:
    return [
        ComponentSpec("tuner", "copl", "copl_prompts.copl:CoPL", "Collaborative prompts on two frozen encoders"),
        ComponentSpec("tuner", "frozen", "copl_prompts.frozen:Frozen", "Trains nothing but the head"),
        ComponentSpec("tuner", "vpt", "copl_prompts.vpt:VPT", "Global prompts alone, on both streams"),
        ComponentSpec("tuner", "full", "copl_prompts.full:Full", "Trains both encoders"),
        ComponentSpec("prompt", "global_prompts", "copl_prompts.modal:GlobalPrompts", "Per clip, every block (M^g)"),
        ComponentSpec("prompt", "frame_prompts", "copl_prompts.modal:FramePrompts", "Per frame, every block (M^f)"),
        ComponentSpec(
            "prompt", "interaction_prompts", "copl_prompts.interaction:InteractionPrompts", "Between modalities (I)"
        ),
        ComponentSpec("bank", "prompt_bank", "copl_prompts.bank:PromptBank", "q vectors, weighted per query (Eq. 6-7)"),
        ComponentSpec("bank", "set_bank", "copl_prompts.bank:SetBank", "q sets of L_I vectors, weighted per frame"),
    ]
