"""Settings: one table, one file of defaults, and a sentence for whatever is wrong."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from slipway.core.parsing import DEFAULT_TIMEOUT_SECONDS
from slipway.core.requests.targets import DEFAULT, Role, TargetRules, TargetSettings
from slipway.core.schema.fields import Field, FieldKind
from slipway.settings.fields import SETTINGS, commented, variable
from slipway.settings.load import (
    NO_QUEUE,
    NOT_SET,
    Settings,
    WrongSetting,
    default_values,
    find_permissions,
    find_triggers,
    load,
    load_permissions,
    load_triggers,
)
from slipway.settings.targets import FIELDS, example

CONFIG = Path(__file__).parents[2] / "config" / "slipway.toml"
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/slipway-requests"
TOPIC = "arn:aws:sns:us-east-1:123456789012:slipway-events"
LEAST = {"SLIPWAY_QUEUE_URL": QUEUE, "SLIPWAY_TOPIC_ARN": TOPIC}
NUMBERS = [setting for setting in SETTINGS if setting.kind in {FieldKind.WHOLE, FieldKind.NUMBER}]


def refusal(environ: dict[str, str], config: str | None = None) -> str:
    with pytest.raises(WrongSetting) as refused:
        load(LEAST | environ, config)
    return str(refused.value)


def written(folder: Path, text: str) -> str:
    path = folder / "own.toml"
    path.write_text(text, "utf-8")
    return str(path)


def test_the_file_of_defaults_says_what_the_code_does() -> None:
    assert CONFIG.read_text("utf-8") == f"{commented(default_values())}\n{example()}"


def test_every_setting_has_a_default_or_is_required_and_an_attribute() -> None:
    assert {setting.name for setting in SETTINGS if not setting.required} == set(default_values())
    attributes = [field.name for field in dataclasses.fields(Settings)]
    assert attributes == [*(setting.name for setting in SETTINGS), "targets", "provenance"]
    assert all(setting.doc and (setting.reason or setting.required) for setting in SETTINGS)


def test_the_defaults() -> None:
    assert load(LEAST) == Settings(
        queue_url=QUEUE,
        topic_arn=TOPIC,
        control_queue_url="",
        max_held=200,
        sweep_interval=15.0,
        timeout=7200.0,
        visibility_timeout=120,
        progress_events=False,
        max_creating=0,
        max_total=0,
        tenant_weights="",
        reap_interval=300.0,
        allow_force=False,
        reply_to="",
        triggers="",
        permissions="",
        http_host="127.0.0.1",
        http_port=8080,
        http_token="",
        log_level="info",
        log_format="auto",
        targets=(TargetSettings(DEFAULT),),
    )
    assert load(LEAST).timeout == DEFAULT_TIMEOUT_SECONDS


def test_the_environment_goes_before_the_file_and_the_file_before_the_defaults(tmp_path: Path) -> None:
    path = written(tmp_path, f'max_held = 50\nsweep_interval = 1\ntopic_arn = "{TOPIC}.fifo"\n')
    found = load(LEAST | {"SLIPWAY_CONFIG": path, "SLIPWAY_MAX_HELD": "60"})
    assert (found.max_held, found.sweep_interval, found.timeout, found.topic_arn) == (60, 1.0, 7200.0, TOPIC)
    assert {name: found.provenance[name] for name in ("max_held", "sweep_interval", "timeout", "topic_arn")} == {
        "max_held": "SLIPWAY_MAX_HELD",
        "sweep_interval": path,
        "timeout": "default",
        "topic_arn": "SLIPWAY_TOPIC_ARN",
    }


GOOD_TRIGGERS = """
[[trigger]]
name = "own"
pattern = { source = ["s"] }
request = "{detail}"
"""


def test_triggers_lie_beside_a_settings_file_unless_a_file_is_named(tmp_path: Path) -> None:
    path, beside = written(tmp_path, "max_held = 50\n"), tmp_path / "triggers.toml"
    assert load(LEAST, path).triggers == ""
    beside.write_text(GOOD_TRIGGERS, "utf-8")
    found = load(LEAST, path)
    assert (found.triggers, found.provenance["triggers"]) == (str(beside), str(beside))
    assert [trigger.name for trigger in load_triggers(found.triggers)] == ["own"]
    assert load(LEAST | {"SLIPWAY_TRIGGERS": "/elsewhere.toml"}, path).triggers == "/elsewhere.toml"
    assert find_triggers({}, path) == str(beside)
    assert load_triggers("") == ()


def test_triggers_that_cannot_be_used_are_refused_with_their_file_rule_and_key(tmp_path: Path) -> None:
    def said(text: str) -> str:
        path = tmp_path / "triggers.toml"
        path.write_text(text, "utf-8")
        with pytest.raises(WrongSetting) as refused:
            load_triggers(str(path))
        return str(refused.value).replace(str(tmp_path), "")

    assert said("[[trigger]]\nname = 'a'\npattern = {source = 's'}\n").startswith(
        '/triggers.toml: rule "a": pattern: source: is "s", not a list'
    )
    assert "which is not TOML in UTF-8" in said("[[trigger")
    with pytest.raises(WrongSetting, match=r'^SLIPWAY_TRIGGERS names "/nowhere", which cannot be read'):
        load_triggers("/nowhere")


def test_permissions_lie_beside_a_settings_file_unless_a_file_is_named(tmp_path: Path) -> None:
    path, beside = written(tmp_path, "max_held = 50\n"), tmp_path / "permissions.toml"
    assert load(LEAST, path).permissions == ""
    beside.write_text("[[rule]]\nname = 'own'\n", "utf-8")
    found = load(LEAST, path)
    assert (found.permissions, found.provenance["permissions"]) == (str(beside), str(beside))
    assert [rule.name for rule in load_permissions(found.permissions)] == ["own"]
    assert load(LEAST | {"SLIPWAY_PERMISSIONS": "/elsewhere.toml"}, path).permissions == "/elsewhere.toml"
    assert find_permissions({}, path) == str(beside)
    assert load_permissions("") == ()


def test_permissions_that_cannot_be_used_are_refused_with_their_file_rule_and_key(tmp_path: Path) -> None:
    path = tmp_path / "permissions.toml"
    path.write_text("[[rule]]\nname = 'a'\nnames = 'x'\n", "utf-8")
    with pytest.raises(WrongSetting) as refused:
        load_permissions(str(path))
    assert str(refused.value).startswith(f'{path}: rule "a": names is the string "x", not a list; use a list of patterns')
    with pytest.raises(WrongSetting, match=r'^SLIPWAY_PERMISSIONS names "/nowhere", which cannot be read'):
        load_permissions("/nowhere")


def test_a_named_file_goes_before_the_variable(tmp_path: Path) -> None:
    path = written(tmp_path, f'queue_url = "{QUEUE}.fifo"\ntopic_arn = "{TOPIC}.fifo"\n')
    found = load({"SLIPWAY_CONFIG": "/nowhere"}, path)
    assert found.is_fifo_queue
    assert found.is_fifo_topic


@pytest.mark.parametrize("missing", LEAST)
def test_the_two_that_must_be_set(missing: str) -> None:
    with pytest.raises(WrongSetting, match=f"^{missing} is not set; use the [UA]R[LN] of an S[QN]S"):
        load({name: value for name, value in LEAST.items() if name != missing})


def test_all_that_is_missing_is_named_at_once_and_nothing_is_if_it_is_not_needed() -> None:
    with pytest.raises(
        WrongSetting, match=r"^SLIPWAY_QUEUE_URL and SLIPWAY_TOPIC_ARN are not set; use the URL .* and use the ARN"
    ):
        load({})
    with pytest.raises(WrongSetting, match=r"^SLIPWAY_TOPIC_ARN is not set"):
        load({}, optional={"queue_url"})
    found = load({}, optional=NO_QUEUE)
    assert (found.queue_url, found.topic_arn, found.provenance["queue_url"]) == ("", "", NOT_SET)


@pytest.mark.parametrize("setting", NUMBERS, ids=lambda setting: setting.name)
def test_numbers_are_held_to_their_bounds_as_documented(setting: Field) -> None:
    assert setting.least is not None
    assert setting.most is not None
    documented = re.search(rf"{variable(setting.name)}: ([\d.]+) to ([\d.]+)", CONFIG.read_text("utf-8"))
    assert documented
    assert (float(documented[1]), float(documented[2])) == (setting.least, setting.most)
    name = variable(setting.name)
    for good in documented.groups():
        assert getattr(load(LEAST | {name: good}), setting.name) == float(good)
    step = 1 if setting.kind is FieldKind.WHOLE else 0.01
    for bad in (setting.least - step, setting.most + step):
        said = refusal({name: f"{bad:.12g}"})
        assert said.startswith(f"{name} is the number {bad}")
        assert f"{setting.least:g} to {setting.most:.12g}" in said


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        (
            {"SLIPWAY_MAX_HELD": "many"},
            'SLIPWAY_MAX_HELD is the string "many", not a whole number; use a whole number, 2 to 20000 messages',
        ),
        (
            {"SLIPWAY_MAX_HELD": "0"},
            "SLIPWAY_MAX_HELD is the number 0, less than 2; use a whole number, 2 to 20000 messages",
        ),
        (
            {"SLIPWAY_SWEEP_INTERVAL": "15s"},
            'SLIPWAY_SWEEP_INTERVAL is the string "15s", not a number; use a number, 0.2 to 300 seconds',
        ),
        (
            {"SLIPWAY_PROGRESS_EVENTS": "yes"},
            'SLIPWAY_PROGRESS_EVENTS is the string "yes", not true or false; use true or false',
        ),
        (
            {"SLIPWAY_LOG_LEVEL": "INFO"},
            'SLIPWAY_LOG_LEVEL is "INFO", not one of debug, info, warning, error; use debug, info, warning or error',
        ),
        (
            {"SLIPWAY_HTTP_HOST": ""},
            "SLIPWAY_HTTP_HOST is empty; use an IP address or a host name of this machine, like 127.0.0.1 or 0.0.0.0",
        ),
        (
            {"SLIPWAY_TOPIC_ARN": "slipway-events"},
            (
                "SLIPWAY_TOPIC_ARN has 14 characters, fewer than 20; "
                "use the ARN of an SNS topic, like arn:aws:sns:us-east-1:123456789012:slipway-events"
            ),
        ),
        (
            {"SLIPWAY_QUEUE_URL": "arn:aws:sqs:us-east-1:123456789012:q"},
            (
                'SLIPWAY_QUEUE_URL is "arn:aws:sqs:us-east-1:123456789012:q", which does not have the right form; '
                "use the URL of an SQS queue, like https://sqs.us-east-1.amazonaws.com/123456789012/slipway-requests"
            ),
        ),
        ({"SLIPWAY_MAX_HELDS": "5"}, "SLIPWAY_MAX_HELDS is not a setting; did you mean SLIPWAY_MAX_HELD?"),
        ({"SLIPWAY_HTPP_PORT": "5"}, "SLIPWAY_HTPP_PORT is not a setting; did you mean SLIPWAY_HTTP_PORT?"),
    ],
)
def test_a_wrong_variable_is_named_with_its_bounds_and_the_remedy(environ: dict[str, str], sentence: str) -> None:
    assert refusal(environ) == sentence


@pytest.mark.parametrize(("text", "value"), [("true", True), ("True", True), ("false", False), ("FALSE", False)])
def test_flags_are_read_in_any_case(text: str, *, value: bool) -> None:
    assert load(LEAST | {"SLIPWAY_PROGRESS_EVENTS": text}).progress_events is value


def test_durations_are_always_fractions_whoever_gave_them() -> None:
    for found in (load(LEAST), load(LEAST | {"SLIPWAY_TIMEOUT": "90", "SLIPWAY_SWEEP_INTERVAL": "1"})):
        assert (type(found.timeout), type(found.sweep_interval)) == (float, float)


@pytest.mark.parametrize("text", ["1_000", "1e3", " 5", "5 ", "0x10", "\u0665", "", "9" * 5000, "nan", "inf", "5.0"])
def test_whole_numbers_are_read_strictly(text: str) -> None:
    assert refusal({"SLIPWAY_MAX_HELD": text}).startswith("SLIPWAY_MAX_HELD is the string")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("max_helds = 5", '"max_helds" in {} is not a setting; did you mean max_held?'),
        ("max_held = 5.5", "max_held in {} is the number 5.5, not a whole number; use a whole number, 2 to 20000 messages"),
        ("max_held = true", "max_held in {} is the boolean true, not a whole number; use a whole number"),
        ('timeout = "2h"', 'timeout in {} is the string "2h", not a number; use a number, 1 to 604800 seconds'),
        ("timeout = nan", "timeout in {} is not a finite number; use a number, 1 to 604800 seconds"),
        ("[slipway]\nmax_held = 5", '"slipway" in {} is not a setting; the settings are queue_url, topic_arn'),
        ("max_held = ", 'SLIPWAY_CONFIG names "{}", which is not TOML in UTF-8 (Invalid value'),
        ("a = " + "[" * 100_000, 'SLIPWAY_CONFIG names "{}", which is not TOML in UTF-8'),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path: Path, monkeypatch: Any, text: str, sentence: str) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, text)
    assert refusal({"SLIPWAY_CONFIG": "own.toml"}).startswith(sentence.format("own.toml"))


def test_a_wrong_value_is_an_error_also_where_the_environment_goes_before_it(tmp_path: Path) -> None:
    path = written(tmp_path, "max_held = 0")
    assert "max_held in" in refusal({"SLIPWAY_CONFIG": path, "SLIPWAY_MAX_HELD": "5"})


@pytest.mark.parametrize("path", ["nowhere.toml", "", "\0"])
def test_a_file_that_cannot_be_read_is_named(path: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal({"SLIPWAY_CONFIG": path}).startswith("SLIPWAY_CONFIG names ")
    assert refusal({}, path).startswith("--config names ")


def test_variables_that_are_not_slipways_settings_are_let_be() -> None:
    others = {
        "SLIPWAY_LOCAL_PORT": "4566",
        "SLIPWAY_SERVICE_HOST": "10.0.0.1",
        "SLIPWAY_SERVICE_PORT": "80",
        "SLIPWAY_SERVICE_PORT_HTTP": "80",
        "SLIPWAY_PORT": "tcp://10.0.0.1:80",
        "SLIPWAY_PORT_80_TCP": "tcp://10.0.0.1:80",
        "SLIPWAY_PORT_80_TCP_ADDR": "10.0.0.1",
        "SLIPWAY_METRICS_SERVICE_HOST": "10.0.0.2",
        "SLIPWAY_METRICS_PORT": "tcp://10.0.0.2:80",
        "SLIPWAY_HTTP_PORT": "tcp://10.0.0.3:8080",
        "MAX_HELD": "no",
    }
    assert load(LEAST | others) == load(LEAST)


@pytest.mark.parametrize(
    "url",
    [
        "https://sqs.us-east-1.amazonaws.com/123456789012/q.fifo",
        "http://127.0.0.1:4566/123456789012/q",
        "http://localhost:9324/queue/q",
        "https://vpce-1.sqs.us-east-1.vpce.amazonaws.com/123456789012/q",
    ],
)
def test_queue_urls_of_aws_and_its_stand_ins_are_taken(url: str) -> None:
    assert load(LEAST | {"SLIPWAY_QUEUE_URL": url}).queue_url == url


@pytest.mark.parametrize(("visibility", "call"), [("10", 10 / 3), ("30", 10), ("43200", 10)])
def test_a_call_is_given_up_before_two_chances_to_extend_a_lease_are_gone(visibility: str, call: float) -> None:
    assert load(LEAST | {"SLIPWAY_VISIBILITY_TIMEOUT": visibility}).call_timeout == pytest.approx(call)


def test_weights_of_tenants() -> None:
    assert load(LEAST).weights == {}
    assert load(LEAST | {"SLIPWAY_TENANT_WEIGHTS": "support=3,team=a search=12"}).weights == {"support": 3, "team=a search": 12}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("support", ("SLIPWAY_TENANT_WEIGHTS is", "right form", "like support=3,search=2")),
        ("support=0", ("right form", "weights from 1 to 999")),
        ("support=3,support=1", ("tenant_weights (SLIPWAY_TENANT_WEIGHTS)", "occurs twice", '"support"')),
        ("support =3", ("tenant_weights (SLIPWAY_TENANT_WEIGHTS)", "'support '", "no space at either end")),
    ],
)
def test_wrong_weights_are_told_with_the_remedy(text: str, parts: tuple[str, ...]) -> None:
    told = refusal({"SLIPWAY_TENANT_WEIGHTS": text})
    assert all(part.replace("'", '"') in told.replace("'", '"') for part in parts), told


def test_the_example_of_a_target_is_one_when_its_marks_are_taken_away(tmp_path: Path) -> None:
    lines = re.findall(r"^# (\[targets\.\w+\]|[a-z_]+ = .*)$", example(), re.MULTILINE)
    assert len(lines) == 1 + len(FIELDS)
    assert load(LEAST | {"SLIPWAY_MAX_TOTAL": "7"}, written(tmp_path, "\n".join(lines))).targets == (
        TargetSettings(DEFAULT, rules=TargetRules(max_total=7)),
        TargetSettings(
            "research",
            "us-west-2",
            Role("arn:aws:iam::210987654321:role/slipway", "slipway", "slipway-research"),
            TargetRules(models=("*:custom-model/amazon.nova-lite-v1:*",), names=("research-*",), max_creating=2, max_total=10),
        ),
    )


def test_the_default_target_keeps_what_its_own_table_does_not_say(tmp_path: Path) -> None:
    path = written(tmp_path, 'max_total = 7\nmax_creating = 1\n[targets.default]\nmax_creating = 3\nnames = ["a-*"]\n')
    assert load(LEAST, path).targets == (
        TargetSettings(DEFAULT, rules=TargetRules(names=("a-*",), max_creating=3, max_total=7)),
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("targets = 5", "targets is not a table of tables; write [targets.NAME], and the target's keys below it"),
        ("targets.eu = 5", "targets.eu is not a table; write [targets.eu], and the target's keys below it"),
        ('[targets."a b"]', '[targets."a b"]: the name is "a b", whose character 2 (" ", U+0020) is not allowed; use 1 to 32'),
        ("[targets.eu]\nregoin = 'x'", 'in targets.eu, the key "regoin" is unknown; did you mean region?'),
        (
            "[targets.eu]\nregion = 'x'",
            'targets.eu.region is "x", which does not have the right form; use the name of a Region',
        ),
        ("[targets.eu]\nrole_arn = 'arn:aws:iam::1:role/x'", 'targets.eu.role_arn is "arn:aws:iam::1:role/x", which does not'),
        ("[targets.eu]\nmodels = '*'", 'targets.eu.models is the string "*", not a list; use a list of patterns'),
        ("[targets.eu]\nmodels = ['*', '**']", 'targets.eu.models[1] is "**", which does not have the right form; use a list'),
        ("[targets.eu]\nnames = []", "targets.eu.names is empty; use a list of patterns"),
        ("[targets.eu]\nnames = [5]", "targets.eu.names[0] is the number 5, not a string; use a list of patterns"),
        ("[targets.eu]\nexternal_id = 'abc'", "targets.eu.external_id has no effect without role_arn; add that, or leave"),
        ("[target.eu]", '"target" in {} is not a setting; did you mean targets?'),
    ],
)
def test_a_wrong_target_is_named_with_its_key_and_the_remedy(tmp_path: Path, text: str, sentence: str) -> None:
    path = written(tmp_path, text)
    said = refusal({}, path)
    assert said.removeprefix(f"{path}: ").startswith(sentence.format(path)), said


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (QUEUE, "the same queue"),
        (QUEUE.replace("us-east-1", "us-west-2"), "not in the same account and Region"),
        (QUEUE.replace("123456789012", "210987654321"), "not in the same account and Region"),
        (f"{QUEUE}-control.fifo", "SLIPWAY_CONTROL_QUEUE_URL"),
        ("nonsense", "SLIPWAY_CONTROL_QUEUE_URL"),
    ],
)
def test_a_control_queue_is_a_standard_queue_beside_the_first_one(url: str, said: str) -> None:
    with pytest.raises(WrongSetting, match=said):
        load(LEAST | {"SLIPWAY_CONTROL_QUEUE_URL": url})


def test_deletes_updates_and_cancels_are_sent_to_the_control_queue_where_there_is_one() -> None:
    control = f"{QUEUE}-control"
    settings = load(LEAST | {"SLIPWAY_CONTROL_QUEUE_URL": control})
    urls = [settings.queue_of(action) for action in ("deploy", "update", "delete", "cancel")]
    assert urls == [QUEUE, control, control, control]
    assert load(LEAST).queue_of("delete") == QUEUE
