"""Wrong banks, prompts and losses. What breaks anything that trains is in test_mapper."""

import pytest
import torch
from torch import nn

from conformance_parts import failures, only_failure
from copl_core.contracts import Bank, Loss, Prompt
from copl_core.testing import check_bank, check_loss, check_prompt


class RightBank(Bank):
    """Weighted means of its entries.

    Args:
        width: d.
        length: L_I.
    """

    def __init__(self, *, width, length):
        super().__init__()
        self.length = length
        self.entries = nn.Parameter(torch.randn(4, width))

    def forward(self, queries):
        """(BT, L_I, d) -> (BT, L_I, d)."""
        return (queries @ self.entries.T).softmax(dim=-1) @ self.entries


class OneForAll(RightBank):
    """Draws one prompt a frame."""

    def forward(self, queries):
        """(BT, L_I, d) -> (BT, L_I, d)."""
        return super().forward(queries).mean(dim=1, keepdim=True)


class Deaf(RightBank):
    """Gives the same to whoever asks."""

    def forward(self, queries):
        """(BT, L_I, d) -> (BT, L_I, d)."""
        return self.entries.mean(0).expand(len(queries), self.length, -1)


class HardChoice(RightBank):
    """Chooses one entry a query."""

    def forward(self, queries):
        """(BT, L_I, d) -> (BT, L_I, d)."""
        return self.entries[(queries @ self.entries.T).argmax(dim=-1)]


@pytest.mark.parametrize(
    ("wrong", "start", "part"),
    [
        (OneForAll, "running (width 32, length 5): ", "(6, 5, 32), got (6, 1, 32)"),
        (Deaf, "queries (width 32, length 5): ", "none comes; draw with them"),
        (HardChoice, "queries (width 32, length 5): ", "not by a hard choice alone"),
    ],
)
def test_wrong_bank_fails_at_its_point(wrong, start, part):
    line = only_failure(check_bank, wrong)
    assert line.startswith(start)
    assert part in line


class RightPrompt(Prompt):
    """Tokens of each pair, the visual ones shifted by the mean of what is seen.

    Args:
        layout: Of the encoders.
        length: P.
    """

    def __init__(self, *, layout, length=2):
        super().__init__(layout=layout)
        self.visual = nn.ParameterDict({str(i): torch.randn(length, d) for i, d, _ in layout.paired()})
        self.audio = nn.ParameterDict({str(i): torch.randn(length, d) for i, _, d in layout.paired()})

    def pairs(self):
        return tuple(index for index, _, _ in self.layout.paired())

    def forward(self, index, visual, audio):
        """(BT, P, d_v) and (1, P, d_a)."""
        return self.visual[str(index)] + visual.mean(dim=1, keepdim=True), self.audio[str(index)].unsqueeze(0)


class EverywherePrompt(RightPrompt):
    """Forgets that some blocks have no partner."""

    def pairs(self):
        return tuple(range(len(self.layout.pairs)))


class BackwardsPrompt(RightPrompt):
    """From the last pair to the first."""

    def pairs(self):
        return tuple(reversed(super().pairs()))


class NowherePrompt(RightPrompt):
    """Adds nothing at all."""

    def pairs(self):
        return ()


class VisualWidthPrompt(RightPrompt):
    """Takes both encoders for equally wide."""

    def __init__(self, *, layout):
        super().__init__(layout=layout)
        self.audio = nn.ParameterDict({str(i): torch.randn(2, d) for i, d, _ in layout.paired()})


class FlatPrompt(RightPrompt):
    """Forgets the dimension of the items."""

    def forward(self, index, visual, audio):
        """(BT, P, d_v) and (P, d_a)."""
        prompts, audio_prompts = super().forward(index, visual, audio)
        return prompts, audio_prompts[0]


@pytest.mark.parametrize(
    ("wrong", "start", "part"),
    [
        (EverywherePrompt, "pairs (two encoders): ", "some of the pairs [0, 2]"),
        (BackwardsPrompt, "pairs (one shared encoder): ", "ascending, got (2, 1, 0)"),
        (NowherePrompt, "pairs (one shared encoder): ", "got ()"),
        (
            VisualWidthPrompt,
            "running (two encoders): ",
            "audio prompts of pair 0 of shape (6 or 1, any, 48), got (1, 2, 32)",
        ),
        (FlatPrompt, "running (one shared encoder): ", "got (2, 32)"),
    ],
)
def test_wrong_prompt_fails_at_its_point(wrong, start, part):
    line = only_failure(check_prompt, wrong)
    assert line.startswith(start)
    assert part in line


class RightLoss(Loss):
    """Mean squared distance of pooled features.

    Args:
        layout: Of the encoders.
    """

    def __init__(self, *, layout):
        super().__init__()
        same = layout.visual_width == layout.audio_width
        self.project = nn.Identity() if same else nn.Linear(layout.audio_width, layout.visual_width)

    def forward(self, visual, audio):
        """A scalar."""
        return (visual.pooled - self.project(audio.pooled)).square().mean()


class PerFrameLoss(RightLoss):
    """Leaves the mean over frames to others."""

    def forward(self, visual, audio):
        """(BT,)."""
        return (visual.pooled - self.project(audio.pooled)).square().mean(dim=1)


class OneSidedLoss(RightLoss):
    """Lets one side be the other's teacher."""

    def forward(self, visual, audio):
        """A scalar."""
        return (visual.pooled.detach() - self.project(audio.pooled)).square().mean()


class EqualWidthsLoss(RightLoss):
    """Takes both encoders for equally wide."""

    def forward(self, visual, audio):
        """A scalar."""
        return (visual.pooled - audio.pooled).square().mean()


class UnexplainedLoss(RightLoss):
    """Says nothing of shapes."""

    def forward(self, visual, audio):
        """The loss."""
        return super().forward(visual, audio)


@pytest.mark.parametrize(
    ("wrong", "start", "part"),
    [
        (PerFrameLoss, "running (equal widths): ", "loss of shape (), got (6)"),
        (OneSidedLoss, "features (equal widths): ", "the visual ones get none"),
        (EqualWidthsLoss, "running (unequal widths): ", "raised RuntimeError"),
        (UnexplainedLoss, "docstring of forward: ", "the shapes of its tensors"),
    ],
)
def test_wrong_loss_fails_at_its_point(wrong, start, part):
    line = only_failure(check_loss, wrong)
    assert line.startswith(start)
    assert part in line


@pytest.mark.parametrize(
    ("check", "right"), [(check_bank, RightBank), (check_prompt, RightPrompt), (check_loss, RightLoss)]
)
def test_right_ones_pass(check, right):
    check(right)


def test_a_class_of_another_kind_is_refused():
    assert failures(check_prompt, RightBank, length=3)[0] == (
        "class: expected a subclass of copl_core.contracts.Prompt; derive RightBank from it"
    )
