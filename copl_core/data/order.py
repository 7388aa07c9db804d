"""The order in which a person counts."""

import re


def natural(text: str) -> tuple[list[tuple[int, str]], str]:
    """Key to sort texts by: numbers in them count as numbers, so that 10.jpg comes after 9.jpg."""
    return [(int(digits or 0), other) for digits, other in re.findall(r"(\d*)(\D*)", text)], text
