"""The task template_name for CoPL, in its four parts. This module is read at every start: it must not import torch."""

from copl_core.api import ComponentSpec, ConfigRoot, hookimpl


@hookimpl
def copl_components():
    """What this plugin provides."""
    return [
        ComponentSpec(
            kind="task",
            name="template_name",
            target="template_plugin.task:TemplateName",
            summary="One class for each clip",
        ),
        ComponentSpec(
            kind="dataset",
            name="template_name",
            target="template_plugin.dataset:TemplateNameDataset",
            summary="Clips on disk",
        ),
        ComponentSpec(
            kind="head",
            name="template_name_classifier",
            target="template_plugin.head:TemplateNameClassifier",
            summary="Two layers",
        ),
        ComponentSpec(
            kind="metric",
            name="template_name_accuracy",
            target="template_plugin.metric:TemplateNameAccuracy",
            summary="Of clips",
        ),
        ComponentSpec(
            kind="renderer",
            name="template_name_card",
            target="template_plugin.renderer:TemplateNameCard",
            summary="Truth and guess",
        ),
    ]


@hookimpl
def copl_configs():
    """The folder ``configs`` beside this file, for ``_base_: template_plugin::template_name.yaml``."""
    return [ConfigRoot("template_plugin", package="template_plugin")]
