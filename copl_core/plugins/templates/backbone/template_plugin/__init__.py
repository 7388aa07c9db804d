"""The backbone template_name for CoPL. This module is read at every start: it must not import torch."""

from copl_core.api import ComponentSpec, ConfigRoot, hookimpl


@hookimpl
def copl_components():
    """What this plugin provides."""
    return [
        ComponentSpec(
            kind="backbone",
            name="template_name",
            target="template_plugin.backbone:TemplateName",
            summary="A plain transformer",
        ),
    ]


@hookimpl
def copl_configs():
    """The folder ``configs`` beside this file, for ``_base_: template_plugin::template_name.yaml``."""
    return [ConfigRoot("template_plugin", package="template_plugin")]
