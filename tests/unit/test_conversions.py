"""Whatever is converted from text has a bound first, or does not come from outside.

Each place in the source that converts is named here with what bounds it: a conversion that is new
needs a line, and whoever writes it has to know. A number of thousands of digits, a date far from
the calendar, or JSON of a thousand brackets has stopped programs.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import seriesgate

if TYPE_CHECKING:
    from collections.abc import Iterator

CONVERSIONS = frozenset(
    [
        "int",
        "float",
        "complex",
        "Decimal",
        "Fraction",
        "UUID",
        "ip_address",
        "ip_network",
        "ip_interface",
        "literal_eval",
        "eval",
        "fromisoformat",
        "strptime",
        "fromtimestamp",
        "parsedate",
        "parsedate_tz",
        "parsedate_to_datetime",
        "load",
        "loads",
        "json",
        "model_validate_json",
        "validate_json",
        "fromhex",
        "unhexlify",
        "b64decode",
        "urlsafe_b64decode",
    ]
)

_OURS = "a number that Python has already"
_SEALED = "this program wrote it, and its seal is checked before"
_DATABASE = "this program wrote it into the database, from what was bounded when it came"
_FROM_SOCKET = "the address of a connection, from the system"
_FROM_SYSTEM = "the processes that the system has"
_BY_HEAD = "part of a request's head, which is bounded as a whole"
_ANSWER = "a program of ours answered; the whole of it is bounded in json_answer.ask"
_SETTING = "a setting: its file is bounded in loading._read_file"

BOUNDS = {
    "adapters/admin/guard.py _is_loopback_name ip_address": _BY_HEAD,
    "adapters/admin/metrics.py _gauge float": _OURS,
    "adapters/data_set/element_value.py decode_date int": "eight digits, by its pattern",
    "adapters/data_set/element_value.py decode_integer Decimal": "64 characters",
    "adapters/data_set/element_value.py decode_integer int": "9 digits, or within 32 bits",
    "adapters/http_heartbeats.py HttpHeartbeats.beat model_validate_json": "see _read_bounded",
    "adapters/journal/records.py read_delivery model_validate_json": _SEALED,
    "adapters/journal/records.py read_senders validate_json": _SEALED,
    "adapters/journal/sqlite_journal.py _utc fromtimestamp": _SEALED,
    "adapters/journal/summaries.py _read_identities fromhex": _SEALED,
    "adapters/journal/summaries.py _read_identities loads": _SEALED,
    "adapters/journal/summaries.py latest_revision int": _OURS,
    "adapters/journal/summaries.py read_summary fromisoformat": _SEALED,
    "adapters/journal/summaries.py read_summary loads": _SEALED,
    "adapters/journal/summaries.py write_summary int": _OURS,
    "adapters/preview/image_attributes.py ImageAttributes.count int": "64 digits",
    "adapters/preview/image_attributes.py ImageAttributes.table int": _OURS,
    "adapters/preview/image_attributes.py _decimal float": "64 characters",
    "adapters/preview/picture.py _png float": _OURS,
    "adapters/preview/pixel_frame.py _frames int": "compared with the most frames before",
    "adapters/preview/pixel_frame.py middle_frame int": _OURS,
    "adapters/socket_options.py _timeval int": _OURS,
    "adapters/spool/file_spool.py FileSpool._read fromtimestamp": "the time of a file",
    "adapters/storage_scp.py ModalityStoreSCP._is_allowed ip_address": _FROM_SOCKET,
    "cli/aside.py _Aside.retry int": _ANSWER,
    "cli/aside.py _table fromisoformat": _ANSWER,
    "cli/outbox.py _Outbox.act int": _ANSWER,
    "cli/outbox.py _table fromisoformat": _ANSWER,
    "cli/series.py _moment fromisoformat": "64 characters",
    "cli/series.py _shown fromisoformat": _ANSWER,
    "cli/status_view.py _head fromisoformat": _ANSWER,
    "cli/status_view.py clock_time fromisoformat": _ANSWER,
    "cli/token.py _shown fromisoformat": _ANSWER,
    "json_log.py JsonFormatter.format fromtimestamp": "the system's clock",
    "modality/synthetic_series.py parse_shape int": "9 digits, by its pattern",
    "requestor/remote_ae.py parse_address int": "5 digits",
    "series/http_answer.py _seconds float": "9 digits",
    "series/http_answer.py answer_in loads": "whoever reads a body bounds it: see _read_bounded",
    "series/http_answer.py http_date parsedate_to_datetime": "64 characters",
    "series/report.py _integral int": _OURS,
    "server/access/failure_limit.py _network int": _OURS,
    "server/access/failure_limit.py _network ip_address": _FROM_SOCKET,
    "server/changes/webhook_message.py signed_headers int": _OURS,
    "server/dicomweb/qido.py _condition int": "12 digits, by its pattern",
    "server/dicomweb/qido.py _number int": "7 digits, by its pattern",
    "server/http/body_limit.py BodyLimitMiddleware._refusal int": "as many digits as its limit has",
    "server/http/connection.py _is_within ip_address": _FROM_SOCKET,
    "server/http/connection.py _is_within ip_network": _SETTING,
    "server/http/gateway_metrics.py GatewayCollector.collect float": _OURS,
    "server/http/host_names.py _is_nobodys ip_address": _BY_HEAD,
    "server/http/process_group.py ProcessGroupCollector._children int": _FROM_SYSTEM,
    "server/http/process_group.py ProcessGroupCollector._of_ended int": _FROM_SYSTEM,
    "server/http/process_group.py ProcessGroupCollector.collect int": _FROM_SYSTEM,
    "server/registry/cursor.py _number int": "18 digits, by its pattern",
    "server/registry/cursor.py decode_cursor b64decode": "1024 characters",
    "server/registry/cursor.py decode_cursor fromisoformat": "1024 characters",
    "server/routes/deletion.py delete_series int": _OURS,
    "server/routes/events.py follow_events int": "18 digits, by its pattern",
    "server/routes/series.py read_series loads": _DATABASE,
    "server/routes/session.py begin_session int": _OURS,
    "server/sql/column_types.py UtcDateTime.process_result_value fromisoformat": _DATABASE,
    "server/sql/deletion.py _digest fromhex": _DATABASE,
    "server/sql/gateways.py _record model_validate_json": _DATABASE,
    "server/sql/read.py _change model_validate_json": _DATABASE,
    "server/sql/repair.py repair model_validate_json": _DATABASE,
    "server/sql/text_index.py _require_trigrams int": "the database's own version",
    "settings/loading.py _read_file loads": "1 MiB",
    "settings/section.py is_loopback ip_address": _SETTING,
    "upper_layer/acceptor.py int": _OURS,
    "upper_layer/codec.py int": _OURS,
    "upper_layer/framing.py int": _OURS,
    "webhook_secret.py signing_key b64decode": _SETTING,
    "wiring/doctor/gateway_state.py _age fromisoformat": _ANSWER,
    "wiring/doctor/gateway_state.py clock_correction float": _ANSWER,
    "wiring/doctor/gateway_state.py clock_correction fromisoformat": _ANSWER,
    "wiring/doctor/machine.py check_open_files int": _ANSWER,
    "wiring/doctor/ports.py _obstacle ip_address": _SETTING,
}


# These take a type, and call it with nothing from outside.
_OF_TYPES = frozenset({"isinstance", "issubclass", "defaultdict"})


def conversions_in(source: str, file: str = "file.py") -> set[str]:
    """Return what is converted, by calling it or by handing it on to be called, and where."""
    return set(_conversions(ast.parse(source), file))


def _conversions(node: ast.AST, place: str) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        place += f"{'.' if ' ' in place else ' '}{node.name}"
    if isinstance(node, ast.Call):
        handed_on = [] if _name(node.func) in _OF_TYPES else [_name(arg) for arg in node.args]
        # As a variable, these two are not what is called.
        names = {_name(node.func), *handed_on} - ({"json", "load"} & set(handed_on))
        yield from (f"{place} {name}" for name in names & CONVERSIONS)
    for child in ast.iter_child_nodes(node):
        yield from _conversions(child, place)


def _name(node: ast.expr) -> str:
    return getattr(node, "id", "") or getattr(node, "attr", "")


def test_each_conversion_is_named_with_its_bound():
    folder = Path(seriesgate.__file__).parent
    found = set()
    for path in sorted(folder.rglob("*.py")):
        found |= conversions_in(path.read_text("utf-8"), path.relative_to(folder).as_posix())
    assert found - BOUNDS.keys() == set(), "what bounds the text before it is converted?"
    assert BOUNDS.keys() - found == set(), "there is no such conversion any more"


def test_conversion_is_found_however_it_is_called():
    source = """
class A:
    async def f(self, text):
        isinstance(text, int)
        list(map(int, text)); datetime.fromisoformat(text); uuid.UUID(text); response.json()
int("1")
"""
    assert conversions_in(source) == {
        "file.py A.f int",
        "file.py A.f fromisoformat",
        "file.py A.f UUID",
        "file.py A.f json",
        "file.py int",
    }
