"""Reads the settings: flags win over environment variables, variables over the file.

The variables are `SERIESGATE_<SECTION>__<KEY>`.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as SourceError

from seriesgate.settings.gateway import GatewaySettings
from seriesgate.settings.server import ServerSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Read when it exists and no other file is named.
DEFAULT_FILE = Path("seriesgate.toml")
ENVIRONMENT_PREFIX = "SERIESGATE_"
# In bytes; a file with every setting and its explanation has a hundredth of it.
_LONGEST_FILE = 1024 * 1024
# Of a wrong value, in characters.
_LONGEST_SHOWN = 200


class SettingsError(Exception):
    """A setting is wrong. The text is one line per wrong key, which it names."""


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    gateway: GatewaySettings = Field(default_factory=GatewaySettings)
    server: ServerSettings = Field(default_factory=ServerSettings)


def load_settings(
    config_file: Path | None = None, flags: Mapping[str, Mapping[str, Any]] | None = None
) -> Settings:
    """Read the settings; `flags` maps a section to the keys given on the command line.

    Without `config_file`, `seriesgate.toml` in the working folder is read if it exists.
    Raises SettingsError.
    """
    path = config_file or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)

    class _FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - replaced by `flags`
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the interface has it
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            given = InitSettingsSource(settings_cls, init_kwargs=dict(flags or {}))
            return given, env_settings, InitSettingsSource(settings_cls, init_kwargs=written)

    written = {} if path is None else _read_file(path)
    try:
        loaded = _FromFile()
    except SourceError as error:
        raise SettingsError(
            f"an environment variable {ENVIRONMENT_PREFIX}… cannot be read ({error}): "
            'lists are written as JSON, like ["MR1", "CT1"]'
        ) from error
    except RecursionError as error:
        raise SettingsError(
            f"an environment variable {ENVIRONMENT_PREFIX}… has lists within lists: "
            'lists are written as JSON, like ["MR1", "CT1"]'
        ) from error
    except ValidationError as error:
        raise SettingsError(_explain(error)) from error
    return Settings.model_construct(gateway=loaded.gateway, server=loaded.server)


def _read_file(path: Path) -> dict[str, Any]:
    """Return what a settings file says. Raises SettingsError."""
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST_FILE + 1)
    except OSError as error:
        raise SettingsError(f"cannot read the settings file {path}: {error.strerror}") from error
    if len(content) > _LONGEST_FILE:
        raise SettingsError(f"the settings file {path} is longer than {_LONGEST_FILE} bytes")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise SettingsError(f"the settings file {path} is not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"the settings file {path} is not TOML: {_cut(str(error))}") from error
    except RecursionError as error:
        raise SettingsError(f"the settings file {path} has too many lists within lists") from error
    except ValueError as error:  # the interpreter's own limit of digits
        raise SettingsError(f"the settings file {path} has a number that is too long") from error


def _cut(text: str) -> str:
    """Return a text that fits on a few lines of a terminal."""
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False, include_context=False):
        key = ".".join(str(part) for part in problem["loc"])
        match problem["type"]:
            case "extra_forbidden":
                lines.append(f"{key}: there is no such setting")
            case "value_error":
                lines.append(f"{key}: {_cut(problem['msg'].removeprefix('Value error, '))}")
            case _:
                message = problem["msg"].replace("Input should be", "must be")
                # A secret is one also when it is wrong.
                is_secret = "token" in key or "webhook" in key
                given = "" if is_secret else f" (it is {_cut(repr(problem['input']))})"
                lines.append(f"{key}: {message}{given}")
    return "\n".join(lines)
