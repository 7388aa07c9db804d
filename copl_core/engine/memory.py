"""Memory of a process that trains on the CPU, or reads clips."""

import ctypes

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
#: The largest block that glibc can be told to keep.
_LARGEST = 32 * 2**20


def keep_freed_memory() -> None:
    """Keep the blocks that one step frees for the next one.

    glibc hands large blocks back to the system and asks for them again a moment later, each time with fresh pages to be
    cleared: a tenth of a small model's step, and a fifth of the time it takes to read a clip. Elsewhere (macOS, musl)
    nothing is changed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
