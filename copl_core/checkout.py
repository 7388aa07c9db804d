"""Which commit the program is, where it runs from a checkout."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def commit(root: Path = ROOT) -> str | None:
    """The commit of the checkout that this code lies in, with ``+changes`` where files of it are changed.

    Args:
        root: The folder that the package lies in.

    Returns:
        None where it is installed as a package, or git isn't there.
    """
    try:
        # Installed below somebody else's checkout, it is not part of that one.
        if Path(_git(root, "rev-parse", "--show-toplevel")).resolve() != root:
            return None
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
        return _git(root, "rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()
