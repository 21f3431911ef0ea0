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
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as SourceError

from seriesgate.settings.gateway import GatewaySettings
from seriesgate.settings.server import ServerSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Read when it exists and no other file is named.
DEFAULT_FILE = Path("seriesgate.toml")
ENVIRONMENT_PREFIX = "SERIESGATE_"


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
            if path is None:
                return given, env_settings
            return given, env_settings, TomlConfigSettingsSource(settings_cls, path)

    try:
        if path is not None:
            path.open("rb").close()  # the TOML source takes a missing file for an empty one
        loaded = _FromFile()
    except OSError as error:
        raise SettingsError(f"cannot read the settings file {path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"the settings file {path} is not TOML: {error}") from error
    except SourceError as error:
        raise SettingsError(
            f"an environment variable {ENVIRONMENT_PREFIX}… cannot be read ({error}): "
            'lists are written as JSON, like ["MR1", "CT1"]'
        ) from error
    except ValidationError as error:
        raise SettingsError(_explain(error)) from error
    return Settings.model_construct(gateway=loaded.gateway, server=loaded.server)


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False, include_context=False):
        key = ".".join(str(part) for part in problem["loc"])
        match problem["type"]:
            case "extra_forbidden":
                lines.append(f"{key}: there is no such setting")
            case "value_error":
                lines.append(f"{key}: {problem['msg'].removeprefix('Value error, ')}")
            case _:
                message = problem["msg"].replace("Input should be", "must be")
                # A secret is one also when it is wrong.
                is_secret = "token" in key or "webhook" in key
                given = "" if is_secret else f" (it is {problem['input']!r})"
                lines.append(f"{key}: {message}{given}")
    return "\n".join(lines)
