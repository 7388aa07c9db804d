"""The bank template_name for CoPL. This module is read at every start: it must not import torch."""

from copl_core.api import ComponentSpec, ConfigRoot, hookimpl


@hookimpl
def copl_components():
    """What this plugin provides."""
    return [
        ComponentSpec(
            kind="bank",
            name="template_name",
            target="template_plugin.bank:TemplateName",
            summary="Entries drawn by cosine",
        ),
    ]


@hookimpl
def copl_configs():
    """The folder ``configs`` beside this file, for ``_base_: template_plugin::template_name.yaml``."""
    return [ConfigRoot("template_plugin", package="template_plugin")]
