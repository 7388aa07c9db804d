"""The generated data sets by name: that of the data set that reads its files."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from copl_synth.ave import AveSettings, write_ave
from copl_synth.avqa import AvqaSettings, write_avqa
from copl_synth.avs import AvsSettings, write_avs


class Written(NamedTuple):
    """A data set.

    Attributes:
        settings: What can be set.
        write: Takes the folder and the settings.
        summary: What is written.
    """

    settings: type
    write: Callable[..., bool]
    summary: str


WRITERS: Mapping[str, Written] = {
    "avs_s4": Written(AvsSettings, write_avs, "write scenes in the layout of AVSBench-S4"),
    "ave": Written(AveSettings, write_ave, "write scenes in the layout of AVE: videos and annotation files"),
    "avqa": Written(AvqaSettings, write_avqa, "write scenes in the layout of MUSIC-AVQA: videos and questions"),
}
#: Shorter names, as `make demo TASK=avs` has them.
ALIASES: Mapping[str, str] = {"avs": "avs_s4"}
