"""Loading of settings: the defaults of `config/slipway.toml`, overridden by the operator's file, then by the environment.

Every value is checked, even if another one overrides it. Errors have the problem and the remedy.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from slipway.core.requests.fields import TENANT
from slipway.core.requests.targets import TargetRules, TargetSettings
from slipway.core.rules.permissions import PermissionRule, WrongPermissions, read_permissions
from slipway.core.rules.triggers import Trigger, WrongTriggers, read_triggers
from slipway.core.schema.fields import Field, FieldKind, closest_match, value_problem
from slipway.core.schema.rejection import ErrorWithRemedy, quote
from slipway.settings.fields import PREFIX, SETTINGS, remedy, variable
from slipway.settings.targets import TABLE, WrongTarget, read_targets

CONFIG_VARIABLE: Final = "SLIPWAY_CONFIG"
BESIDE: Final = {"triggers": "triggers.toml", "permissions": "permissions.toml"}
"""Rule files that are read from beside a settings file, by the setting that names another path."""
DEFAULT: Final = "default"
"""`Settings.provenance` of a default value."""
NOT_SET: Final = "not set"
"""`Settings.provenance` of a setting without a value."""
NO_QUEUE: Final = frozenset({"queue_url", "topic_arn"})
"""Required settings that a command does not need if it only calls Bedrock."""
LONGEST_CALL_SECONDS: Final = 10.0

_RESERVED_VARIABLES = re.compile(r"SLIPWAY_LOCAL_\w*|SLIPWAY_CONFIG")
# Kubernetes sets such variables in every pod for each Service of its namespace, which may be named slipway.
_SERVICE_LINK = re.compile(r"SLIPWAY_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_\w+)?)")
_SERVICE_LINK_VALUE = re.compile(r"(?:tcp|udp|sctp)://\S+")
_LOOPBACK_OF_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  the address to connect to for "all addresses"
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?")
CONTROL_ACTIONS: Final = frozenset({"cancel", "delete", "update"})
"""Actions whose requests the client sends to the control queue, if there is one."""
_FLAGS: Final = {"true": True, "false": False}
_BY_NAME: Final = {setting.name: setting for setting in SETTINGS}
_BY_VARIABLE: Final = {variable(setting.name): setting for setting in SETTINGS}


class WrongSetting(ErrorWithRemedy):
    """A setting is invalid. The message has its name as given, its value, the problem and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings. Durations are in seconds; a quota of 0 is learned."""

    queue_url: str
    topic_arn: str
    control_queue_url: str
    """Empty without a control queue."""
    max_held: int
    sweep_interval: float
    timeout: float
    visibility_timeout: int
    progress_events: bool
    max_creating: int
    max_total: int
    tenant_weights: str
    reap_interval: float
    allow_force: bool
    reply_to: str
    """Separated by spaces."""
    triggers: str
    """Path of a file; empty without triggers."""
    permissions: str
    """Path of a file; empty without permission rules."""
    http_host: str
    http_port: int
    http_token: str = field(repr=False)
    """Empty for none."""
    log_level: str
    log_format: str
    targets: tuple[TargetSettings, ...]
    """The default target first."""
    provenance: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """The source of each value: `default`, the path of a file, or the name of a variable."""

    @property
    def weights(self) -> Mapping[str, int]:
        """Return `tenant_weights` by tenant."""
        return dict(_weights(self.tenant_weights))

    @property
    def is_fifo_queue(self) -> bool:
        """Return whether the request queue is FIFO."""
        return self.queue_url.endswith(".fifo")

    def queue_of(self, action: str) -> str:
        """Return the URL of the queue for a request with this action."""
        return self.control_queue_url if self.control_queue_url and action in CONTROL_ACTIONS else self.queue_url

    @property
    def is_fifo_topic(self) -> bool:
        """Return whether the topic is FIFO, and needs a group and a deduplication id for each event."""
        return self.topic_arn.endswith(".fifo")

    @property
    def own_daemon(self) -> tuple[str, ...]:
        """Return the URL of a daemon with these settings on this machine; none if it has no HTTP endpoint."""
        host = reachable(self.http_host)
        return (f"http://{f'[{host}]' if ':' in host else host}:{self.http_port}",) if self.http_port else ()

    @property
    def call_timeout(self) -> float:
        """Return the timeout of one call to AWS: short enough to try to extend a lease twice before it ends."""
        return min(LONGEST_CALL_SECONDS, self.visibility_timeout / 3)


def load(environ: Mapping[str, str], config: str | None = None, *, optional: Collection[str] = ()) -> Settings:
    """Return the settings in force. `config` is the path of a file and overrides SLIPWAY_CONFIG. Raises WrongSetting.

    A required setting that is `optional` here is empty if it is not set.
    """
    values, provenance = _in_force(environ, config)
    missing = [setting for setting in SETTINGS if setting.name not in values]
    if required := [setting for setting in missing if setting.name not in optional]:
        raise _missing(required)
    for setting in missing:
        values[setting.name], provenance[setting.name] = "", NOT_SET
    _check_weights(values, provenance)
    _check_control_queue(values, provenance)
    values[TABLE] = _targets(values, provenance)
    return Settings(**values, provenance=provenance)


def _missing(settings: Sequence[Field]) -> WrongSetting:
    names = " and ".join(variable(setting.name) for setting in settings)
    remedies = " and ".join(remedy(setting) for setting in settings)
    keys = " and ".join(setting.name for setting in settings)
    return WrongSetting(
        f"{names} {'are' if settings[1:] else 'is'} not set", f"{remedies}, in the environment or as {keys} in a file"
    )


def _targets(values: Mapping[str, Any], provenance: Mapping[str, str]) -> tuple[TargetSettings, ...]:
    default_rules = TargetRules(max_creating=values["max_creating"], max_total=values["max_total"])
    try:
        return read_targets(values.get(TABLE, {}), default_rules)
    except WrongTarget as wrong:
        raise WrongSetting(f"{provenance[TABLE]}: {wrong.problem}", wrong.remedy) from wrong


def _weights(text: str) -> list[tuple[str, int]]:
    pairs = [pair.rpartition("=") for pair in text.split(",") if pair]
    return [(tenant, int(weight)) for tenant, _, weight in pairs]


def _check_weights(values: Mapping[str, Any], provenance: Mapping[str, str]) -> None:
    """Check that each tenant of the weights, whose form is valid, is a valid name and occurs once."""
    seen: set[str] = set()
    for tenant, _ in _weights(values["tenant_weights"]):
        subject = f"tenant_weights ({provenance['tenant_weights']}) has a tenant that"
        if fault := value_problem(TENANT, tenant):
            raise WrongSetting(f"{subject} {fault}", TENANT.remedy)
        if tenant in seen:
            raise WrongSetting(f"{subject} occurs twice, {quote(tenant)}", "give it once")
        seen.add(tenant)


def _check_control_queue(values: Mapping[str, Any], provenance: Mapping[str, str]) -> None:
    """Check that the control queue is another queue in the same account and Region: one client calls both."""
    control, queue = values["control_queue_url"], values["queue_url"]
    if not control:
        return
    subject = f"control_queue_url ({provenance['control_queue_url']}) is {quote(control)}, and queue_url {quote(queue)}"
    if control == queue:
        raise WrongSetting(f"{subject}: the same queue", "use another one, or leave it empty")
    if control.rpartition("/")[0] != queue.rpartition("/")[0]:
        raise WrongSetting(f"{subject}: not in the same account and Region", "use a queue in those of queue_url")


def find_triggers(environ: Mapping[str, str], config: str | None = None) -> str:
    """Return the path of the trigger file in force; empty if there is none.

    Other settings may be missing. Raises WrongSetting.
    """
    return str(_in_force(environ, config)[0]["triggers"])


def find_permissions(environ: Mapping[str, str], config: str | None = None) -> str:
    """Return the path of the permission file in force; empty if there is none.

    Other settings may be missing. Raises WrongSetting.
    """
    return str(_in_force(environ, config)[0]["permissions"])


def find_wanted(environ: Mapping[str, str], config: str | None = None) -> tuple[TargetSettings, ...]:
    """Return the targets in force, the default first. Other settings may be missing. Raises WrongSetting."""
    return _targets(*_in_force(environ, config))


def find_topic(environ: Mapping[str, str], config: str | None = None) -> str:
    """Return the ARN of the topic in force; empty if it is not set. Raises WrongSetting."""
    return str(_in_force(environ, config)[0].get("topic_arn", ""))


def find_endpoint(environ: Mapping[str, str], config: str | None = None) -> tuple[str, int]:
    """Return host and port of a daemon on this machine; port 0 if it has no endpoint. Other settings may be missing.

    Raises WrongSetting.
    """
    values = _in_force(environ, config)[0]
    return reachable(values["http_host"]), int(values["http_port"])


def reachable(host: str) -> str:
    """Return the host to connect to for a daemon on this machine that listens on `host`."""
    return _LOOPBACK_OF_ANY.get(host, host)


def load_triggers(path: str, named_by: str | None = None) -> tuple[Trigger, ...]:
    """Return the triggers of a file; none without a path.

    Raises WrongSetting, which names the option or variable `named_by`.
    """
    if not path:
        return ()
    document = _toml(path, named_by or variable("triggers"))
    try:
        return read_triggers(document)
    except WrongTriggers as wrong:
        raise WrongSetting(f"{path}: {wrong.problem}", wrong.remedy) from wrong


def load_permissions(path: str, named_by: str | None = None) -> tuple[PermissionRule, ...]:
    """Return the permission rules of a file; none without a path. Raises WrongSetting, as for triggers."""
    if not path:
        return ()
    document = _toml(path, named_by or variable("permissions"))
    try:
        return read_permissions(document)
    except WrongPermissions as wrong:
        raise WrongSetting(f"{path}: {wrong.problem}", wrong.remedy) from wrong


def _in_force(environ: Mapping[str, str], config: str | None) -> tuple[dict[str, Any], dict[str, str]]:
    values = default_values()
    provenance = dict.fromkeys(values, DEFAULT)
    path = config if config is not None else environ.get(CONFIG_VARIABLE)
    if path is not None:
        named_by = "--config" if config is not None else CONFIG_VARIABLE
        overrides = _from_file(path, named_by)
        values |= overrides
        provenance |= dict.fromkeys(overrides, path)
    overrides = _from_environment(environ)
    values |= overrides
    provenance |= {name: variable(name) for name in overrides}
    for name, file in BESIDE.items():
        if path is not None and not values[name] and (beside := Path(path).parent / file).is_file():
            values[name] = provenance[name] = str(beside)
    return values, provenance


def default_values() -> dict[str, Any]:
    """Return the defaults, from the installed package or from the checkout."""
    return _checked(tomllib.loads(_default_file().read_text("utf-8")), "the defaults")


def _default_file() -> Traversable | Path:
    installed = resources.files("slipway") / "_config" / "slipway.toml"
    return installed if installed.is_file() else Path(__file__).parents[3] / "config" / "slipway.toml"


def _from_file(path: str, named_by: str) -> dict[str, Any]:
    return _checked(_toml(path, named_by), path)


def _toml(path: str, named_by: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        problem = f"{named_by} names {quote(path)}, which cannot be read ({error.strerror})"
        raise WrongSetting(problem, "use the path of a readable TOML file") from error
    except (ValueError, RecursionError) as error:
        problem = f"{named_by} names {quote(path)}, which is not TOML in UTF-8 ({error})"
        raise WrongSetting(problem, "fix the file") from error


def _checked(document: Mapping[str, object], place: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in document.items():
        if name == TABLE:
            values[name] = value  # parsed after the settings that it defaults to
            continue
        if name not in _BY_NAME:
            subject, hint = f"{quote(name)} in {place}", f"the settings are {', '.join(_BY_NAME)}, and [{TABLE}.NAME]"
            raise _unknown(subject, closest_match(name, (*_BY_NAME, TABLE)), hint)
        values[name] = _value(_BY_NAME[name], value, f"{name} in {place}")
    return values


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, text in environ.items():
        if (setting := _BY_VARIABLE.get(name)) and not _is_service_link(name, text):
            values[setting.name] = _value(setting, _parsed(setting, text), name)
        elif name.startswith(PREFIX) and not _is_reserved(name, text):
            hint = f"unset it; the variables are {', '.join(_BY_VARIABLE)}"
            raise _unknown(quote(name)[1:-1], closest_match(name, _BY_VARIABLE), hint)
    return values


def _is_reserved(name: str, text: str) -> bool:
    return _is_service_link(name, text) or bool(_SERVICE_LINK.fullmatch(name) or _RESERVED_VARIABLES.fullmatch(name))


def _is_service_link(name: str, text: str) -> bool:
    """Return whether a variable is Kubernetes's address of a Service, even if a setting has the same variable."""
    return name.endswith("_PORT") and _SERVICE_LINK_VALUE.fullmatch(text) is not None


def _unknown(subject: str, suggestion: str | None, hint: str) -> WrongSetting:
    return WrongSetting(f"{subject} is not a setting", f"did you mean {suggestion}?" if suggestion else hint)


def _value(setting: Field, value: object, subject: str) -> object:
    if fault := value_problem(setting, value):
        raise WrongSetting(f"{subject} {fault}", remedy(setting))
    return float(value) if setting.kind is FieldKind.NUMBER and isinstance(value, int) else value


def _parsed(setting: Field, text: str) -> object:
    """Return a variable's text as its setting's type; unchanged if it is invalid, for the check to report."""
    match setting.kind:
        case FieldKind.WHOLE if _WHOLE.fullmatch(text):
            return int(text)
        case FieldKind.NUMBER if _NUMBER.fullmatch(text):
            return float(text)
        case FieldKind.FLAG:
            return _FLAGS.get(text.lower(), text)
        case _:
            return text
