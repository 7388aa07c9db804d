"""CoPL's configs, as bases for those of others: ``_base_: copl::demo/avs_swin_nano_shared.yaml``.

They lie in ``configs`` at the root of the repository; ``configs`` here is a link to it, of which an installation gets
the files. This module is read at every start: it must not import torch.
"""

from copl_core.api import ConfigRoot, hookimpl


@hookimpl
def copl_configs():
    return [ConfigRoot("copl", package="copl_configs")]
