"""The typed configuration: command line over ``HANMARU_*`` environment over ``hanmaru.toml`` over defaults.

A table's member is named with two underscores in the environment (``HANMARU_LIMITS__BODY_BYTES``). A key that nobody
knows is refused with the nearest one that exists, so that a typing error never starts the wrong hub.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from hanmaru.platform.egress import KINDS, Egress, EgressError

FILE = "hanmaru.toml"
PREFIX = "HANMARU_"
FREE = ("oidc.roles.",)
"""Tables whose members' names are the user's own words."""
NOT_SETTINGS = frozenset({"CONFIG", "DEBUG", "TEST_DATA"})
"""Environment names after the prefix that are read elsewhere: this module, `hanmaru.cli` and the tests."""


class ConfigError(Exception):
    """A configuration that cannot be used; the text says what to change."""


class Log(BaseModel):
    """What is written to standard error, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["auto", "console", "json"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"
    slow_request_s: float = Field(default=1.0, gt=0)


class Limits(BaseModel):
    """What one request may cost, how many there may be, and how long a stop may take; 0 a second is no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    body_bytes: int = Field(default=16 * 2**20, gt=0)
    request_s: float = Field(default=60, gt=0)
    keep_alive_s: int = Field(default=75, gt=0)
    stop_s: float = Field(default=8, gt=0, le=60)
    head_bytes: int = Field(default=32 * 2**10, ge=1024)
    head_s: float = Field(default=10, gt=0)
    in_flight: int = Field(default=1000, gt=0)
    streams: int = Field(default=200, ge=0)
    requests_per_s: float = Field(default=2000, ge=0)
    burst: int = Field(default=10_000, gt=0)
    anonymous_per_s: float = Field(default=50, ge=0)
    anonymous_burst: int = Field(default=200, gt=0)


class Tls(BaseModel):
    """The certificate that the hub speaks TLS with; HTTP without one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("give both tls.certificate and tls.key, or neither")
        return self


class Contexts(BaseModel):
    """What fetching a user @context may cost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    timeout_s: float = Field(default=5, gt=0)
    max_bytes: int = Field(default=2**20, gt=0)


class EgressRule(BaseModel):
    """Where the hub itself may send requests that a client's text makes it send."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allow: tuple[str, ...] = KINDS

    @field_validator("allow")
    @classmethod
    def _understood(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            Egress(value)
        except EgressError as error:
            raise ValueError(str(error)) from None
        return value


class Oidc(BaseModel):
    """The OpenID Connect provider that people may sign in with; none without an issuer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str | None = None
    client_id: str = Field(default="", validate_default=True)
    client_secret: str = ""
    title: str = "OpenID Connect"
    scope: str = "openid profile email"
    roles_claim: str = "groups"
    roles: dict[str, str] = {}
    second_factor_amr: tuple[str, ...] = ("mfa",)
    second_factor_acr: tuple[str, ...] = ()

    @field_validator("issuer")
    @classmethod
    def _safe(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "")
        if value and (not parts.hostname or parts.query or parts.fragment):
            raise ValueError("give an address without ? and #")
        if value and parts.scheme != "https" and not (parts.scheme == "http" and loopback(parts.hostname or "")):
            raise ValueError("give an https:// address; http:// is for a loopback host only")
        return value

    @field_validator("client_id")
    @classmethod
    def _known_there(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("issuer") and not value:
            raise ValueError("an issuer needs the client_id that the provider gave this hub")
        return value

    @field_validator("scope")
    @classmethod
    def _openid(cls, value: str) -> str:
        if "openid" not in value.split():
            raise ValueError("the word openid has to be in it")
        return value


def default_web_workers() -> int:
    """Return one worker on one or two cores, half the cores and at most eight above."""
    cores = os.cpu_count() or 1
    return 1 if cores <= 2 else min(8, cores // 2)


class Settings(BaseSettings):
    """Everything that can be set; ``docs/reference/configuration.md`` explains each."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid", validate_default=True
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    data: Path = Path("data")
    store: str = "sqlite"
    web_workers: int = Field(default_factory=default_web_workers, ge=1, le=64)
    city: str = "sejong"
    demo: bool = False
    services: Annotated[tuple[str, ...] | None, NoDecode] = None
    policies: Path | None = None
    keys: Path | None = None
    audit_reads: bool = False
    connectors: tuple[dict[str, Any], ...] = ()
    history_days: float | None = Field(default=None, gt=0)
    handover_days: float = Field(default=30, gt=0, le=366)
    auth: Literal["on", "off"] = "on"
    public_url: str | None = None
    session_idle_minutes: int = Field(default=60, ge=1, le=720)
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    otel_endpoint: str | None = None
    log: Log = Log()
    limits: Limits = Limits()
    tls: Tls = Tls()
    contexts: Contexts = Contexts()
    egress: EgressRule = EgressRule()
    oidc: Oidc = Oidc()

    @field_validator("services", "trusted_proxies", "allowed_hosts", mode="before")
    @classmethod
    def _comma_separated(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("data", "keys")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value and value.expanduser().absolute()

    @field_validator("policies")
    @classmethod
    def _a_folder(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            raise ValueError("policies must be a folder")
        return value and value.expanduser().absolute()

    @field_validator("store")
    @classmethod
    def _known_store(cls, value: str) -> str:
        if value != "sqlite" and not value.startswith(("sqlite:///", "postgresql://")):
            raise ValueError("give 'sqlite', a sqlite:///path or a postgresql://user@host/database address")
        return value

    @field_validator("public_url")
    @classmethod
    def _an_origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or value.rstrip("/") != parts.scheme + "://" + parts.netloc
        ):
            raise ValueError("public_url is https://host or https://host:port, without a path")
        return value.rstrip("/").lower()

    @model_validator(mode="after")
    def _open_only_at_home(self) -> Self:
        if self.auth == "off" and not loopback(self.host):
            raise ValueError(f"auth may be off on a loopback host only, such as 127.0.0.1, not on {self.host!r}")
        return self

    @property
    def keys_folder(self) -> Path:
        """The folder of keys, which no backup of the data contains."""
        return self.keys if self.keys is not None else self.data / "keys"

    @property
    def kept_days(self) -> float | None:
        """For how many days history is kept, None for ever; the demo city keeps a day unless told otherwise."""
        return self.history_days if self.history_days is not None else 1.0 if self.demo else None

    @property
    def store_url(self) -> str:
        """The store's address; ``sqlite`` means ``hub.db`` in the data folder."""
        return f"sqlite:///{self.data / 'hub.db'}" if self.store == "sqlite" else self.store

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, strongest first."""
        file = TomlConfigSettingsSource(settings_cls, config_file())
        return init_settings, env_settings, file


def config_file() -> Path:
    """Return the configuration file's path, which need not exist unless ``HANMARU_CONFIG`` names it."""
    return Path(os.environ.get(PREFIX + "CONFIG", FILE))


def load(**overrides: Any) -> Settings:
    """Read the settings; ``overrides`` that are not None win over the environment and the file.

    Raises ConfigError with one line that names the setting, where it was set and what it may be.
    """
    path = config_file()
    if PREFIX + "CONFIG" in os.environ and not path.is_file():
        raise ConfigError(f"{PREFIX}CONFIG names {path}, which is not a file")
    try:
        known = _schema(Settings)
        if path.is_file():
            _refuse_unknown(_flatten(tomllib.loads(path.read_text("utf-8"))), known, str(path))
        named = (name.removeprefix(PREFIX) for name in os.environ if name.startswith(PREFIX))
        lowered = (name.lower().replace("__", ".") for name in named if name not in NOT_SETTINGS)
        _refuse_unknown(lowered, known, "the environment")
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    except ValidationError as error:
        raise ConfigError("; ".join(_readable(dict(e)) for e in error.errors())) from None
    except ValueError as error:
        raise ConfigError(str(error)) from None


def loopback(host: str) -> bool:
    """Return whether only this machine can reach the host's address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _readable(error: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"])
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {message} (got {error['input']!r})" if where else message


def _schema(model: type[BaseModel]) -> frozenset[str]:
    names: set[str] = set()
    for name, info in model.model_fields.items():
        names.add(name)
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            names |= {f"{name}.{member}" for member in info.annotation.model_fields}
    return frozenset(names)


def _flatten(table: Mapping[str, Any]) -> Iterable[str]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from (f"{name}.{member}" for member in _flatten(value))  # pyright: ignore[reportUnknownArgumentType]
        else:
            yield name


def _refuse_unknown(names: Iterable[str], known: frozenset[str], where: str) -> None:
    for name in names:
        if name not in known and not name.startswith(FREE):
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; the settings are {', '.join(sorted(known))}"
            raise ConfigError(f"unknown setting {name!r} in {where}{hint}")


_SECRET = ("password", "secret", "token", "key")


def shown(settings: Settings) -> dict[str, Any]:
    """Return the settings as plain data to show, with passwords and tokens masked."""
    return _mask(settings.model_dump(mode="json"))


def _mask(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _mask(member, str(key)) for key, member in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, list):
        return [_mask(member) for member in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, str):
        if any(part in name.lower() for part in _SECRET):
            return "***"
        return re.sub(r"(?<=://)([^/@:]*):[^/@]*@", r"\1:***@", value)
    return value
