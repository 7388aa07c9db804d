"""What the page shows of a result, as HTML. Lengths are in percent, so that it fits any width."""

import html
from collections.abc import Sequence
from itertools import groupby

from copl_core.contracts import Finding, Prediction


def result_html(prediction: Prediction, seconds: float, about: str = "") -> str:
    """Findings as a timeline or as bars, or the summary where there are none.

    Args:
        prediction: The result.
        seconds: Duration of the video.
        about: What was asked of what; on a phone the video and the question are out of sight by now.
    """
    findings = prediction.findings()
    timed = [finding for finding in findings if finding.span is not None]
    whole = [finding for finding in findings if finding.span is None]
    if not findings:
        return message_html(f"{about}\n{prediction.summary().strip()}".strip())
    above = f'<p class="asked">{html.escape(about)}</p>' if about else ""
    return f'<div class="result">{above}{_bars(whole)}{_timeline(timed, seconds)}</div>'


def message_html(text: str, *, is_error: bool = False) -> str:
    """A message; an error is told as one to screen readers, too."""
    kind, role = ("error", "alert") if is_error else ("note", "status")
    return f'<div class="{kind}" role="{role}">{html.escape(text)}</div>' if text else ""


def _bars(findings: Sequence[Finding]) -> str:
    """The first one large, all with a bar."""
    if not findings:
        return ""
    rows = "".join(
        f'<li><span class="label">{html.escape(finding.label)}</span>'
        f'<span class="bar"><span style="width:{100 * finding.confidence:.1f}%"></span></span>'
        f'<span class="percent">{finding.confidence:.0%}</span></li>'
        for finding in findings
    )
    return f'<p class="answer">{html.escape(findings[0].label)}</p><ol class="bars">{rows}</ol>'


def _timeline(findings: Sequence[Finding], seconds: float) -> str:
    """A lane for each label, in order of first appearance."""
    if not findings:
        return ""
    order = list(dict.fromkeys(finding.label for finding in findings))
    ordered = sorted(findings, key=lambda finding: order.index(finding.label))
    lanes = "".join(
        _lane(label, list(group), seconds) for label, group in groupby(ordered, key=lambda finding: finding.label)
    )
    ends = f'<div class="ends"><span>0 s</span><span>{seconds:.0f} s</span></div>'
    return f'<div class="timeline">{lanes}{ends}</div>'


def _lane(label: str, findings: Sequence[Finding], seconds: float) -> str:
    parts, words = [], []
    for finding in findings:
        assert finding.span is not None
        start, end = finding.span
        left, width = 100 * start / seconds, 100 * (min(end, seconds) - start) / seconds
        when = f"{start:g} to {end:g} s"
        # The surer, the darker.
        parts.append(
            f'<span title="{when}, {finding.confidence:.0%}" '
            f'style="left:{left:.2f}%;width:{width:.2f}%;opacity:{0.35 + 0.65 * finding.confidence:.2f}"></span>'
        )
        words.append(f"{when} <b>{finding.confidence:.0%}</b>")
    return (
        f'<div class="lane"><span class="label">{html.escape(label)}</span>'
        f'<span class="spans">{", ".join(words)}</span><div class="track">{"".join(parts)}</div></div>'
    )
