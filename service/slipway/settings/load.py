"""The settings in force: the defaults of `config/slipway.toml`, then a file of the operator's, then the environment.

Whatever is given is checked, also where something stronger overrides it; a sentence says what is wrong and what to do.
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
from slipway.core.schema.rejection import quote
from slipway.settings.fields import PREFIX, SETTINGS, remedy, variable
from slipway.settings.targets import TABLE, WrongTarget, read_targets

CONFIG_VARIABLE: Final = "SLIPWAY_CONFIG"
BESIDE: Final = {"triggers": "triggers.toml", "permissions": "permissions.toml"}
"""Files of rules, which are found beside a settings file, by the setting that names one that lies elsewhere."""
DEFAULT: Final = "default"
"""What `Settings.provenance` says of a value that nobody has set."""
NOT_SET: Final = "not set"
"""What it says of a setting that has no default."""
NO_QUEUE: Final = frozenset({"queue_url", "topic_arn"})
"""Required settings, which a command does without that calls Bedrock alone."""
LONGEST_CALL_SECONDS: Final = 10.0

_OF_OTHERS = re.compile(r"SLIPWAY_LOCAL_\w*|SLIPWAY_CONFIG")
# Kubernetes gives every pod such variables for each Service in its namespace, and one is easily named slipway.
_SERVICE_LINK = re.compile(r"SLIPWAY_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_\w+)?)")
_SERVICE_LINK_VALUE = re.compile(r"(?:tcp|udp|sctp)://\S+")
_OF_ALL: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  what is asked instead of all addresses
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?")
CONTROL_ACTIONS: Final = frozenset({"cancel", "delete", "update"})
"""What the client sends to the control queue, where there is one."""
_FLAGS: Final = {"true": True, "false": False}
_BY_NAME: Final = {each.name: each for each in SETTINGS}
_BY_VARIABLE: Final = {variable(each.name): each for each in SETTINGS}


class WrongSetting(Exception):
    """A setting that cannot be used: one sentence names it as it was written, its value, its bounds and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator decides. Durations are seconds; 0 for a quota means that it is learned."""

    queue_url: str
    topic_arn: str
    control_queue_url: str
    """Empty where there is no control queue."""
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
    """The path of a file; empty where there are no triggers."""
    permissions: str
    """The path of a file; empty where everybody who may send may ask for anything."""
    http_host: str
    http_port: int
    log_level: str
    log_format: str
    targets: tuple[TargetSettings, ...]
    """The default first."""
    provenance: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Where each value came from: `default`, the path of a file, or the name of a variable."""

    @property
    def weights(self) -> Mapping[str, int]:
        """`tenant_weights`, read."""
        return dict(_weights(self.tenant_weights))

    @property
    def is_fifo_queue(self) -> bool:
        """The queue keeps order within message groups."""
        return self.queue_url.endswith(".fifo")

    def queue_of(self, action: str) -> str:
        """Return the URL of the queue that a request is to be sent to."""
        return self.control_queue_url if self.control_queue_url and action in CONTROL_ACTIONS else self.queue_url

    @property
    def is_fifo_topic(self) -> bool:
        """The topic wants a group and a deduplication id with each event."""
        return self.topic_arn.endswith(".fifo")

    @property
    def own_daemon(self) -> tuple[str, ...]:
        """The URL of a daemon on this machine with these settings; none if it has no HTTP endpoint."""
        host = reachable(self.http_host)
        return (f"http://{f'[{host}]' if ':' in host else host}:{self.http_port}",) if self.http_port else ()

    @property
    def call_timeout(self) -> float:
        """How long one call to AWS may take: short enough that a lease can be extended twice before it runs out."""
        return min(LONGEST_CALL_SECONDS, self.visibility_timeout / 3)


def load(environ: Mapping[str, str], config: str | None = None, *, optional: Collection[str] = ()) -> Settings:
    """Return the settings in force; `config` is a file's path and goes before SLIPWAY_CONFIG. Raises WrongSetting.

    A required setting that is `optional` here is empty if it is not set.
    """
    values, provenance = _in_force(environ, config)
    missing = [each for each in SETTINGS if each.name not in values]
    if required := [each for each in missing if each.name not in optional]:
        raise _missing(required)
    for each in missing:
        values[each.name], provenance[each.name] = "", NOT_SET
    _check_weights(values, provenance)
    _check_control_queue(values, provenance)
    values[TABLE] = _wanted(values, provenance)
    return Settings(**values, provenance=provenance)


def _missing(settings: Sequence[Field]) -> WrongSetting:
    names = " and ".join(variable(each.name) for each in settings)
    remedies = " and ".join(remedy(each) for each in settings)
    keys = " and ".join(each.name for each in settings)
    return WrongSetting(
        f"{names} {'are' if settings[1:] else 'is'} not set; {remedies}, in the environment or as {keys} in a file"
    )


def _wanted(values: Mapping[str, Any], provenance: Mapping[str, str]) -> tuple[TargetSettings, ...]:
    usual = TargetRules(max_creating=values["max_creating"], max_total=values["max_total"])
    try:
        return read_targets(values.get(TABLE, {}), usual)
    except WrongTarget as wrong:
        raise WrongSetting(f"{provenance[TABLE]}: {wrong}") from wrong


def _weights(text: str) -> list[tuple[str, int]]:
    pairs = [each.rpartition("=") for each in text.split(",") if each]
    return [(tenant, int(weight)) for tenant, _, weight in pairs]


def _check_weights(values: Mapping[str, Any], provenance: Mapping[str, str]) -> None:
    """Their form is sound; say what only all of them together can have wrong, or who no request can name."""
    seen: set[str] = set()
    for tenant, _ in _weights(values["tenant_weights"]):
        said = f"tenant_weights ({provenance['tenant_weights']}) has a tenant that"
        if wrong := value_problem(TENANT, tenant):
            raise WrongSetting(f"{said} {wrong}; {TENANT.remedy}")
        if tenant in seen:
            raise WrongSetting(f"{said} is named twice, {quote(tenant)}; name it once")
        seen.add(tenant)


def _check_control_queue(values: Mapping[str, Any], provenance: Mapping[str, str]) -> None:
    """Its form is sound; the two queues are called through one client, and so are in one place."""
    control, queue = values["control_queue_url"], values["queue_url"]
    if not control:
        return
    said = f"control_queue_url ({provenance['control_queue_url']}) is {quote(control)}, and queue_url {quote(queue)}"
    if control == queue:
        raise WrongSetting(f"{said}: the same queue; name another one, or leave it empty")
    if control.rpartition("/")[0] != queue.rpartition("/")[0]:
        raise WrongSetting(f"{said}: not in the same account and Region; name a queue beside the first one")


def find_triggers(environ: Mapping[str, str], config: str | None = None) -> str:
    """Answer the path of the triggers in force, whatever else is set or not; empty without. Raises WrongSetting."""
    return str(_in_force(environ, config)[0]["triggers"])


def find_permissions(environ: Mapping[str, str], config: str | None = None) -> str:
    """Answer the path of the permissions in force, whatever else is set or not; empty without. Raises WrongSetting."""
    return str(_in_force(environ, config)[0]["permissions"])


def find_wanted(environ: Mapping[str, str], config: str | None = None) -> tuple[TargetSettings, ...]:
    """Answer the targets in force, the default first, whatever else is set or not. Raises WrongSetting."""
    return _wanted(*_in_force(environ, config))


def find_topic(environ: Mapping[str, str], config: str | None = None) -> str:
    """Answer the ARN of the topic in force; empty where none is set. Raises WrongSetting."""
    return str(_in_force(environ, config)[0].get("topic_arn", ""))


def find_endpoint(environ: Mapping[str, str], config: str | None = None) -> tuple[str, int]:
    """Return the host and port that a daemon on this machine is asked at, whatever else is set; port 0: it has no endpoint.

    Raises WrongSetting.
    """
    values = _in_force(environ, config)[0]
    return reachable(values["http_host"]), int(values["http_port"])


def reachable(host: str) -> str:
    """Return the host that a daemon on this machine is asked at which listens on this one."""
    return _OF_ALL.get(host, host)


def load_triggers(path: str, named_by: str | None = None) -> tuple[Trigger, ...]:
    """Read a file of triggers; without a path there are none. Raises WrongSetting, which says what the file is `named_by`."""
    if not path:
        return ()
    given = _toml(path, named_by or variable("triggers"))
    try:
        return read_triggers(given)
    except WrongTriggers as wrong:
        raise WrongSetting(f"{path}: {wrong}") from wrong


def load_permissions(path: str, named_by: str | None = None) -> tuple[PermissionRule, ...]:
    """Read a file of permissions; without a path there are none. Raises WrongSetting, as for triggers."""
    if not path:
        return ()
    given = _toml(path, named_by or variable("permissions"))
    try:
        return read_permissions(given)
    except WrongPermissions as wrong:
        raise WrongSetting(f"{path}: {wrong}") from wrong


def _in_force(environ: Mapping[str, str], config: str | None) -> tuple[dict[str, Any], dict[str, str]]:
    values = default_values()
    provenance = dict.fromkeys(values, DEFAULT)
    path = config if config is not None else environ.get(CONFIG_VARIABLE)
    if path is not None:
        named_by = "--config" if config is not None else CONFIG_VARIABLE
        given = _from_file(path, named_by)
        values |= given
        provenance |= dict.fromkeys(given, path)
    given = _from_environment(environ)
    values |= given
    provenance |= {name: variable(name) for name in given}
    for name, file in BESIDE.items():
        if path is not None and not values[name] and (beside := Path(path).parent / file).is_file():
            values[name] = provenance[name] = str(beside)
    return values, provenance


def default_values() -> dict[str, Any]:
    """Read the defaults: from the installed package, or from the checkout that this file is in."""
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
        text = f"{named_by} names {quote(path)}, which cannot be read ({error.strerror}); name a TOML file that can"
        raise WrongSetting(text) from error
    except (ValueError, RecursionError) as error:
        text = f"{named_by} names {quote(path)}, which is not TOML in UTF-8 ({error}); mend the file"
        raise WrongSetting(text) from error


def _checked(given: Mapping[str, object], place: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name == TABLE:
            values[name] = value  # read when all is known that it builds on
            continue
        if name not in _BY_NAME:
            said, otherwise = f"{quote(name)} in {place}", f"the settings are {', '.join(_BY_NAME)}, and [{TABLE}.NAME]"
            raise _unknown(said, closest_match(name, (*_BY_NAME, TABLE)), otherwise)
        values[name] = _value(_BY_NAME[name], value, f"{name} in {place}")
    return values


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, text in environ.items():
        if (setting := _BY_VARIABLE.get(name)) and not _is_link(name, text):
            values[setting.name] = _value(setting, _parsed(setting, text), name)
        elif name.startswith(PREFIX) and not _is_of_others(name, text):
            otherwise = f"unset it; the variables are {', '.join(_BY_VARIABLE)}"
            raise _unknown(quote(name)[1:-1], closest_match(name, _BY_VARIABLE), otherwise)
    return values


def _is_of_others(name: str, text: str) -> bool:
    return _is_link(name, text) or bool(_SERVICE_LINK.fullmatch(name) or _OF_OTHERS.fullmatch(name))


def _is_link(name: str, text: str) -> bool:
    """Whether it is Kubernetes's address of a Service, also where the Service is named so that a setting has this variable."""
    return name.endswith("_PORT") and _SERVICE_LINK_VALUE.fullmatch(text) is not None


def _unknown(said: str, near: str | None, otherwise: str) -> WrongSetting:
    return WrongSetting(f"{said} is not a setting; {f'did you mean {near}?' if near else otherwise}")


def _value(setting: Field, value: object, said: str) -> object:
    if wrong := value_problem(setting, value):
        text = f"{said} {wrong}; {remedy(setting)}"
        raise WrongSetting(text)
    return float(value) if setting.kind is FieldKind.NUMBER and isinstance(value, int) else value


def _parsed(setting: Field, text: str) -> object:
    """Read a variable as its setting's type; what does not read stays a text, for the check to name."""
    match setting.kind:
        case FieldKind.WHOLE if _WHOLE.fullmatch(text):
            return int(text)
        case FieldKind.NUMBER if _NUMBER.fullmatch(text):
            return float(text)
        case FieldKind.FLAG:
            return _FLAGS.get(text.lower(), text)
        case _:
            return text
