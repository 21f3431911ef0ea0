"""The DICOM conformance statement: its template, with the values and tables of the code."""

from __future__ import annotations

from pathlib import Path
from string import Template

from docs.generators import conformance_tables as tables

from seriesgate import __version__
from seriesgate.adapters.data_set.data_set_head import HeadLimits
from seriesgate.adapters.preview.picture import SIDE
from seriesgate.adapters.preview.pixel_frame import MAX_FRAME_BYTES
from seriesgate.settings.gateway import GatewaySettings
from seriesgate.upper_layer.codec import MAX_CONTEXTS, MAX_TRANSFER_SYNTAXES
from seriesgate.upper_layer.dimse import StoreStatus
from seriesgate.upper_layer.framing import MAX_ASSOCIATE_LENGTH
from seriesgate.upper_layer.pdu import APPLICATION_CONTEXT_NAME
from seriesgate.upper_layer.syntaxes import VERIFICATION
from seriesgate.wiring.gateway import acceptor_policy

PAGE = "conformance-statement.md"

_TEMPLATE = Path(__file__).with_suffix(".template")


def render() -> str:
    """Return the page."""
    template = Template(_TEMPLATE.read_text(encoding="utf-8"))
    return template.substitute(_values() | _tables())


def _values() -> dict[str, str]:
    settings = GatewaySettings()
    policy = acceptor_policy(settings)
    head = HeadLimits()
    return {
        "version": __version__,
        "dictionaries": tables.dictionaries(),
        "ae_title": policy.ae_title,
        "verification": VERIFICATION,
        "application_context": f"`{APPLICATION_CONTEXT_NAME}`",
        "storage_class_count": str(len(tables.storage_classes())),
        "implementation_class_uid": policy.implementation_class_uid,
        "implementation_version_name": policy.implementation_version_name or "",
        "max_associations": str(settings.max_associations),
        "max_associations_per_host": str(settings.associations_per_host),
        "max_pdu_length": _count(policy.max_pdu_length),
        "max_associate_length": _count(MAX_ASSOCIATE_LENGTH),
        "max_transfer_syntaxes": str(MAX_TRANSFER_SYNTAXES),
        "max_contexts": str(MAX_CONTEXTS),
        "max_operations": str(policy.max_operations),
        "artim_timeout": _seconds(policy.artim_timeout),
        "idle_timeout": _seconds(policy.idle_timeout),
        "store_timeout": _seconds(policy.store_timeout),
        "preview_side": str(SIDE),
        "max_frame": _count(MAX_FRAME_BYTES),
        "progress_window": _seconds(policy.progress_window),
        "min_progress": _count(policy.min_progress),
        "quiet_period": f"{_seconds(settings.quiet_period)} (`quiet_period`)",
        "durability": f"`{settings.durability}`",
        "max_head_bytes": _count(head.max_bytes),
        "max_head_elements": _count(head.max_elements),
        "success": tables.code(StoreStatus.SUCCESS),
        "cannot_understand": tables.code(StoreStatus.CANNOT_UNDERSTAND),
    }


def _tables() -> dict[str, str]:
    return {
        "services": tables.services(),
        "rejections": tables.rejections(),
        "transfer_syntaxes": tables.transfer_syntaxes(),
        "refused_transfer_syntaxes": tables.refused_transfer_syntaxes(),
        "required_attributes": tables.required_attributes(),
        "used_attributes": tables.used_attributes(),
        "statuses": tables.statuses(),
        "parameters": tables.parameters(),
        "storage_classes": tables.storage_sop_classes(),
    }


def _count(number: float) -> str:
    return f"{number:,.0f}"


def _seconds(number: float) -> str:
    return f"{number:g} s"
