"""The reference page of the settings, made from their models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from seriesgate.settings.loading import ENVIRONMENT_PREFIX, Settings

if TYPE_CHECKING:
    from pydantic import BaseModel

PAGE = "settings.md"


def render() -> str:
    """Return the page."""
    settings = defaults_of_all_settings()
    lines = [
        "# Settings",
        "",
        "In `seriesgate.toml` (or the file named by `--config`), as environment variables, or as",
        "flags of the commands. Flags win over variables, variables over the file. A wrong value",
        "is one line that names the key; `seriesgate config check` looks and starts nothing.",
    ]
    for section, model in (("gateway", settings.gateway), ("server", settings.server)):
        lines += ["", f"## `[{section}]`", "", (type(model).__doc__ or "").strip(), ""]
        lines += _table(section, model)
    return "\n".join(lines) + "\n"


def defaults_of_all_settings() -> Settings:
    """Return the defaults."""
    return Settings.model_construct(
        gateway=Settings.model_fields["gateway"].get_default(call_default_factory=True),
        server=Settings.model_fields["server"].get_default(call_default_factory=True),
    )


def _table(section: str, model: BaseModel) -> list[str]:
    defaults = model.model_dump(mode="json")
    rows = ["| key | default | meaning | environment |", "|---|---|---|---|"]
    for key, field in type(model).model_fields.items():
        variable = f"{ENVIRONMENT_PREFIX}{section}__{key}".upper()
        default = "none" if defaults[key] is None else f"`{json.dumps(defaults[key])}`"
        rows.append(f"| `{key}` | {default} | {field.description} | `{variable}` |")
    return rows
