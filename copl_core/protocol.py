"""What the protocol of a run means for the selection of its epoch, and how its numbers are marked. Imports no torch."""

STANDARD = "standard"


def select_on(protocol: str) -> str:
    """The split on which the best epoch is selected: paper_compat takes test, as the published code bases do."""
    return "test" if protocol == "paper_compat" else "val"


def protocol_mark(protocol: str) -> str:
    """What follows numbers in lines for people, so that no copied line hides the protocol; nothing for the standard."""
    return "" if protocol == STANDARD else f" (protocol {protocol})"
