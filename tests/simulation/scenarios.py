"""Stories of every action: each is lived plainly, and with a kill -9 before its steps, and must end as it is to end.

What shows planted bugs in them at once: the worlds draw all of these too, among much else.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import cast

from botocore.exceptions import NoCredentialsError

from slipway.core.events.callbacks import StepFailed
from slipway.core.lifecycle.tags import EXPIRES_TAG, OWNER_TAG, RECEIVED_TAG, REQUEST_TAG
from slipway.core.parsing import client_token, parse_request
from slipway.core.requests.models import Deploy
from slipway.core.rules.permissions import PermissionRule
from slipway.core.sqs.messages import Message
from slipway.core.time_format import format_time
from tests.simulation.containment import SCENARIOS, Scenario
from tests.simulation.quiet_logs import quietly
from tests.simulator.bedrock import USUAL, Rules, request_of
from tests.simulator.callbacks import Waiting
from tests.simulator.simulation import HOME, MODEL, OTHER_MODEL, World
from tests.simulator.sqs import EPOCH, SOMEBODY
from tests.simulator.virtual_loop import Deadlock
from tests.simulator.wire_faults import Fault
from tests.worker.kills import Story

SLOT_SECONDS = 900.0
LONG_AGO = "2025-01-01T00:00:00.000Z"
ASKED = {"modelDeploymentName": "bot", "modelArn": MODEL, "requestId": "r-1"}
STEP = "Qk3vX9aZ1b"
OURS = {REQUEST_TAG: "r-0", RECEIVED_TAG: LONG_AGO}
DULL = replace(USUAL, dull_models="m$")
TEST = {"prompt": "Reply with the word ready.", "expect": "ready"}
LONG = frozenset(
    {"endless list", "retry", "replace", "expiry", "cancel", "stopping", "full", "full of its own name", "control queue"}
)
"""Killed before every third step only."""
MODULES = frozenset(
    {
        "slipway.aws.adapters.clock",
        "slipway.aws.adapters.error_translation",
        "slipway.core.scheduling.fair_queue",
        "slipway.core.lifecycle.tags",
        "slipway.core.sqs.continuations",
        "slipway.core.lifecycle.deploy",
        "slipway.core.requests.ownership",
        "slipway.core.rules.permissions",
        "slipway.core.parsing",
        "slipway.core.lifecycle.delete",
        "slipway.core.lifecycle.update",
        "slipway.core.bedrock",
        "slipway.worker.publishing.callbacks",
        "slipway.worker.publishing.publisher",
        "slipway.worker.runtime.processor",
        "slipway.worker.queue.dead_letter",
        "slipway.worker.queue.leases",
        "slipway.worker.kernel.lease",
        "slipway.worker.actions.deploy",
        "slipway.worker.actions.cancel",
        "slipway.worker.queue.intake",
        "slipway.worker.scheduling.reaper",
        "slipway.worker.runtime.capacity",
        "slipway.worker.runtime.worker",
        "slipway.worker.scheduling.slots",
        "slipway.worker.actions.smoke_test",
        "slipway.worker.actions.update",
        "slipway.worker.scheduling.watcher",
    }
)
"""Where a bug may show in a story."""


def _with(tags: dict[str, str], rules: Rules = USUAL, **terms: object) -> World:
    """A world with one deployment, long Active, of `MODEL`."""
    world = World(rules=replace(rules, creation_seconds=(0.0, 0.0)), terms=terms)
    world.account.add("bot", MODEL, tags)
    world.account.rule(creation_seconds=rules.creation_seconds)
    return world


def _about(action: str, request_id: str, **more: object) -> dict[str, object]:
    return {"action": action, "customModelDeploymentIdentifier": "bot", "requestId": request_id} | more


def _is(world: World, request_id: str, outcome: str, served: list[tuple[str | None, str]], **more: object) -> None:
    """Check how a request ended, and what there is then: whose, and of which model."""
    data = world.outcome_of(request_id)
    assert data["outcome"] == outcome, data
    assert {key: data.get(key) for key in more} == more, data
    now = world.account.now()
    assert [(request_of(one), one.model_arn(now)) for one in world.account.existing()] == served


def _rolled_back(world: World) -> None:
    _is(world, "u-1", "RolledBack", [("r-0", MODEL)], reason="SmokeTestFailed", formerModelArn=MODEL)
    assert world.wire.calls["UpdateCustomModelDeployment"] <= 3, "there and back; one may be sent again after a kill"


def _tried_again(world: World) -> None:
    _is(world, "r-1", "Active", [("r-1", MODEL)], attempt=3)
    assert len(world.account.made) == 3, "one for each attempt"


def _given_up(world: World) -> None:
    _is(world, "r-1", "Failed", [], reason="DeploymentFailed", attempt=2)
    assert len(world.account.made) == 2


def _replaced(world: World) -> None:
    _is(world, "r-1", "Active", [("r-1", OTHER_MODEL)])
    assert len(world.account.made) == 2, "what it made itself is not replaced"


def _update_again(world: World) -> None:
    """An update fails; the model is mended; another update to it follows."""
    world.send(_about("update", "u-1", modelArn=OTHER_MODEL))

    async def mend() -> None:
        await world.until(lambda: any(each.event["data"]["requestId"] == "u-1" for each in world.topic.terminal()))
        world.account.rule(bad_models="")
        world.send(_about("update", "u-2", modelArn=OTHER_MODEL))

    world.later = asyncio.get_running_loop().create_task(mend())


def _updated_at_last(world: World) -> None:
    _is(world, "u-2", "Updated", [("r-0", OTHER_MODEL)])


def _one_has_expired(world: World) -> None:
    world.account.add("theirs", MODEL, {EXPIRES_TAG: LONG_AGO})
    world.account.add("ours", MODEL, {REQUEST_TAG: "r-1", EXPIRES_TAG: "2099-01-01T00:00:00Z"})
    world.send(_about("delete", "d-1", customModelDeploymentIdentifier="nothing"))

    async def rounds() -> None:
        """Somebody brings a time forward, when it has been read long before."""
        await asyncio.sleep(900)
        now = world.account.now()
        arn = next(one.arn for one in world.account.existing() if one.name == "ours")
        world.account.model.tag(now, arn, [{"key": EXPIRES_TAG, "value": LONG_AGO}])
        await asyncio.sleep(900)

    world.later = asyncio.get_running_loop().create_task(rounds())


def _only_what_expired_is_gone(world: World) -> None:
    assert [one.name for one in world.account.existing()] == ["theirs"]
    said = [(each.event["data"].get("reason"), each.event_id) for each in world.topic.terminal()]
    assert len({event_id for reason, event_id in said if reason == "Expired"}) == 2, "one for each, whoever says so"
    assert {reason for reason, _ in said} <= {None, "Expired"}, "nobody asked for more"


def _wait_for_the_slot(world: World) -> None:
    """Three requests wait for the only slot; then somebody deletes what has it."""
    for number in range(3):
        world.ask(f"new-{number}", requestId=f"r-{number}", timeout=SLOT_SECONDS)

    async def delete() -> None:
        await asyncio.sleep(100)
        world.send(_about("delete", "d-1"))

    world.later = asyncio.get_running_loop().create_task(delete())


def _slot_was_freed(world: World) -> None:
    (deleted, *_) = (each for each in world.topic.terminal() if each.event["data"]["requestId"] == "d-1")
    sent = next(letter.sent_at for letter in world.sqs.all if "d-1" in letter.body)
    assert deleted.event["data"]["outcome"] == "Deleted"
    assert deleted.at - sent < SLOT_SECONDS / 2, "it is not to wait until those that wait for the slot give up"
    assert "Active" in world.outcomes().values()
    assert all(letter.receive_count <= 2 for letter in world.sqs.all), "to go back to the queue costs no receives"


def _wait_for_its_own_slot(world: World) -> None:
    """A deploy waits for the slot of the deployment that has its name; a delete of that comes behind it."""
    world.ask("bot", requestId="r-1", timeout=SLOT_SECONDS)
    world.send(_about("delete", "d-1"))


def _own_slot_was_freed(world: World) -> None:
    deleted = next(each for each in world.topic.terminal() if each.event["data"]["requestId"] == "d-1")
    sent = next(letter.sent_at for letter in world.sqs.all if "d-1" in letter.body)
    assert deleted.event["data"]["outcome"] == "Deleted"
    assert deleted.at - sent < SLOT_SECONDS / 2, "it is not to wait until the deploy gives up"
    assert world.outcome_of("r-1")["outcome"] == "Active"


def _delete_by_control(world: World) -> None:
    """A delete comes by the control queue while the deployment is in creation."""
    world.ask("bot", requestId="r-1")
    asyncio.get_running_loop().call_later(10.0, lambda: world.send(_about("delete", "d-1"), to_control=True))


def _was_made_and_deleted(world: World) -> None:
    """After a kill the delete may be received first: then there is nothing to delete yet."""
    assert world.outcome_of("r-1")["outcome"] == "Active"
    assert world.outcome_of("d-1")["outcome"] == "Deleted"
    if len(world.replicas) == 1 and "first" in world.replicas:
        assert not world.account.existing()
        assert [each.event["data"]["requestId"] for each in world.topic.terminal()] == ["r-1", "d-1"]
    assert not world.control_dead.all
    assert all(letter.receive_count <= 2 for letter in world.control.all), "each was settled where it came from"


def _cancel(world: World) -> None:
    world.ask("bot", requestId="r-1")
    cancel = {"action": "cancel", "cancels": "r-1", "deployment": "delete", "requestId": "c-1"}
    asyncio.get_running_loop().call_later(60.0, lambda: world.send(cancel))


def _pipeline_that_stops() -> World:
    # Creation outlasts the time for which the message of a killed reader may stay hidden.
    world = World(rules=replace(USUAL, creation_seconds=(900.0, 900.0)))
    world.askers.steps[STEP] = Waiting()
    return world


def _stop_pipeline(world: World) -> None:
    world.ask("bot", requestId="r-1", callbackToken=STEP)
    stopping = {"token": STEP, "status": "Stopping"}
    asyncio.get_running_loop().call_later(60.0, lambda: world.send(stopping))


def _stopped(world: World) -> None:
    _is(world, "r-1", "Cancelled", [])
    heard = world.askers.steps[STEP].heard
    assert isinstance(heard, StepFailed)
    assert heard.reason.startswith("Stopping"), "the word that is said at once, and not the one at the request's end"


def _many_at_once(world: World) -> None:
    for number in range(6):
        world.ask(f"bot-{number}", requestId=f"r-{number}")


def _all_active(world: World) -> None:
    assert set(world.outcomes().values()) == {"Active"}, world.outcomes()
    lists = world.wire.calls["ListCustomModelDeployments"]
    assert lists < 12 * asyncio.get_running_loop().time() / 15.0, "no more than there are pages, with each sweep"


def _test_was_throttled(world: World) -> None:
    """After a kill it may be received again only after its deadline: then nothing is waited for any more."""
    data = world.outcome_of("r-1")
    assert data["outcome"] == "TimedOut", data
    assert data.get("reason") in {"Throttled", "NoAnswer"}, data
    if len(world.replicas) == 1 and "first" in world.replicas:
        assert data.get("reason") == "Throttled", data
        assert "Converse" in data["message"], data


def _with_spent_tokens() -> World:
    """A world that remembers two tokens of a request whose deployments are gone."""
    world = World(rules=replace(USUAL, token_seconds=86_400.0, creation_seconds=(60.0, 60.0)))
    request = parse_request(Message("m-0", json.dumps(ASKED), "", 1, EPOCH, EPOCH, sender=SOMEBODY), HOME)
    assert isinstance(request, Deploy)
    for spent_tokens in range(2):
        world.account.model.add(EPOCH, "bot", MODEL, token=client_token(request, 0, spent_tokens))
        world.account.delete("bot")
    return world


def _made_anew(world: World) -> None:
    _is(world, "r-1", "Active", [("r-1", MODEL)])
    assert len(world.account.made) == 3, "two that are gone, and one"


def _one_slot(**terms: object) -> World:
    rules = replace(USUAL, max_creating=1, max_total=100, creation_seconds=(30.0, 30.0))
    return World(rules=rules, terms={"max_held": 200, "max_creating": 1, **terms})


async def _tenants_take_turns() -> None:
    """Neither who came first has all turns, nor who comes late has those that it did not use."""
    world = _one_slot()
    world.start()
    for number in range(16):
        world.ask(f"first-{number}", tenant="first")
    await world.until(lambda: len(world.account.made) == 6)
    for number in range(6):
        world.ask(f"late-{number}", tenant="late")
    await world.until(lambda: len(world.account.made) == 16)
    late = [one.name.startswith("late") for one in world.account.made]
    assert any(late[:9]), late
    turns = late[late.index(True) :]
    assert turns == [number % 2 == 0 for number in range(len(turns))], late
    await world.stop()


async def _sweeps_keep_their_distance() -> None:
    """Each request that is the only one in line asks for an early sweep."""
    world = _with(OURS, replace(USUAL, max_total=1), max_total=1, sweep_interval=60)
    began = asyncio.get_running_loop().time()
    world.start()
    for number in range(12):
        world.ask(f"new-{number}", requestId=f"r-{number}")
        await asyncio.sleep(1.0)
        world.send({"action": "cancel", "cancels": f"r-{number}", "requestId": f"c-{number}"})
        await world.until(lambda number=number: f"new-{number}" in world.outcomes(), 60)  # type: ignore[misc]
    seconds = asyncio.get_running_loop().time() - began
    lists = world.wire.calls["ListCustomModelDeployments"]
    assert lists <= 2 + seconds / 12, f"{lists} sweeps in {seconds} s"
    await world.stop()


async def _a_deadline_ends_no_other_watch() -> None:
    """A request that times out behind another one looks at the deployment that the other one waits for."""
    world = World(rules=replace(USUAL, creation_seconds=(600.0, 600.0)))
    world.start("a")
    world.ask("bot", requestId="r-1")
    world.ask("bot", requestId="r-2", timeout=200)
    await world.until(lambda: bool(world.account.made), 60)
    await asyncio.sleep(5.0)
    world.kill("a")
    world.start("b")
    await world.until(lambda: len(world.topic.terminal()) == 2, 1000)
    assert world.outcome_of("r-1")["outcome"] == "Active"
    assert world.outcome_of("r-2")["outcome"] == "TimedOut"
    await world.stop("b")


async def _nothing_expires_early() -> None:
    """The first answers that show a process the time are wrong, each by its own error."""
    world = _with({}, replace(USUAL, creation_seconds=(0.0, 0.0)), reap_interval=10.0)
    world.wire.plan = lambda operation, number: Fault.OLD_DATE if number < 3 else None
    world.wire.seconds_old = lambda number: -40.0 * number
    expires = world.account.now() + 60.0
    world.account.add("cat", MODEL, OURS | {EXPIRES_TAG: format_time(expires)})
    world.start()
    await world.until(lambda: len(world.account.existing()) < 2, 300)
    assert expires <= world.account.now() <= expires + 60.0
    await world.stop()


async def _a_broken_target_leaves_room() -> None:
    """The requests of a target that denies every call wait; those of the other one are done meanwhile."""
    rules = replace(USUAL, max_creating=20, creation_seconds=(30.0, 30.0))
    world = World(rules=rules, terms={"max_held": 20}, targets={"west": USUAL})
    world.wires["west"].plan = lambda _operation, _number: Fault.DENIED
    for number in range(60):
        world.ask(f"west-{number}", world.model_in("west"), target="west")
    world.start()
    await asyncio.sleep(300.0)
    names = {f"bot-{number}" for number in range(8)}
    for name in sorted(names):
        world.ask(name)
    await world.until(lambda: world.outcomes().keys() >= names, 300)
    assert {world.outcomes()[name] for name in names} == {"Active"}
    await world.stop()


async def _credentials_come_late() -> None:
    """Calls that change something find no credentials, some times in a row; between them those that only read do."""
    world = _with(OURS, replace(USUAL, creation_seconds=(60.0, 60.0)))
    missing, changes = cast("Exception", NoCredentialsError()), ("Create", "Update", "Delete")
    world.wire.raises = lambda operation, number: missing if operation.startswith(changes) and number <= 6 else None
    world.start()
    world.ask("cat", requestId="r-1")
    world.send(_about("update", "u-1", modelArn=OTHER_MODEL))
    await world.until(lambda: len(world.topic.terminal()) == 2, 2000)
    world.send(_about("delete", "d-1"))
    await world.all_answered(2000.0)
    assert [world.outcome_of(each)["outcome"] for each in ("r-1", "u-1", "d-1")] == ["Active", "Updated", "Deleted"]
    await world.stop()


STORIES: dict[str, Story | Scenario] = {
    **SCENARIOS,
    "tenants take turns": Scenario(_tenants_take_turns),
    "sweeps that keep their distance": Scenario(_sweeps_keep_their_distance),
    "a deadline behind another request": Scenario(_a_deadline_ends_no_other_watch),
    "a broken target": Scenario(_a_broken_target_leaves_room),
    "credentials that come late": Scenario(_credentials_come_late),
    "a first Date that is wrong": Scenario(_nothing_expires_early),
    "a copied id": Story(
        lambda: _with({REQUEST_TAG: "r-1", OWNER_TAG: "somebody.else"}),
        lambda world: world.ask("bot", OTHER_MODEL, requestId="r-1", ifExists="replace"),
        lambda world: _is(world, "r-1", "Rejected", [("r-1", MODEL)], code="RequestIdReused"),
    ),
    "an update under a deploy's id": Story(
        lambda: _with({REQUEST_TAG: "r-1", OWNER_TAG: "somebody.else"}),
        lambda world: world.send(_about("update", "r-1", modelArn=OTHER_MODEL)),
        lambda world: _is(world, "r-1", "Rejected", [("r-1", MODEL)], code="RequestIdReused"),
    ),
    "a delete by ARN where rules name names": Story(
        lambda: _with(OURS, permissions=(PermissionRule(name="a-team", names=("a*",)),)),
        lambda world: world.send(_about("delete", "d-1") | {"customModelDeploymentIdentifier": world.account.made[0].arn}),
        lambda world: _is(world, "d-1", "Rejected", [("r-0", MODEL)], code="NotPermitted"),
    ),
    "a copied payload": Story(
        lambda: _with({REQUEST_TAG: "r-1"}, replace(USUAL, dull_models="l$")),
        lambda world: world.ask("bot", requestId="r-1", onFailure="delete", smokeTest=TEST),
        lambda world: _is(world, "r-1", "Failed", [("r-1", MODEL)], reason="SmokeTestFailed"),
    ),
    "a rule that lets nobody delete": Story(
        lambda: _with({}, permissions=(PermissionRule(name="all", actions=("deploy", "cancel")),)),
        lambda world: world.ask("cat", requestId="r-1", onFailure="delete"),
        lambda world: _is(world, "r-1", "Rejected", [(None, MODEL)], code="NotPermitted"),
    ),
    "tags that are shown late": Story(
        lambda: World(
            rules=replace(USUAL, creation_seconds=(60.0, 60.0), tag_lag_seconds=14.0), terms={"visibility_timeout": 10}
        ),
        lambda world: world.ask("bot", requestId="r-1"),
        lambda world: _is(world, "r-1", "Active", [("r-1", MODEL)]),
    ),
    "spent tokens": Story(_with_spent_tokens, lambda world: world.send(ASKED), _made_anew),
    "delete": Story(
        lambda: _with(OURS), lambda world: world.send(_about("delete", "d-1")), lambda world: _is(world, "d-1", "Deleted", [])
    ),
    "delete of what is not ours": Story(
        lambda: _with({"team": "other"}),
        lambda world: world.send(_about("delete", "d-1", force=True)),
        lambda world: _is(world, "d-1", "Failed", [(None, MODEL)], reason="ForceNotAllowed"),
    ),
    "update": Story(
        lambda: _with(OURS),
        lambda world: world.send(_about("update", "u-1", modelArn=OTHER_MODEL)),
        lambda world: _is(world, "u-1", "Updated", [("r-0", OTHER_MODEL)], formerModelArn=MODEL),
    ),
    "update again": Story(
        lambda: _with(OURS, replace(USUAL, bad_models="m$", details_lag_seconds=40.0)), _update_again, _updated_at_last
    ),
    "rollback": Story(
        lambda: _with(OURS, DULL),
        lambda world: world.send(_about("update", "u-1", modelArn=OTHER_MODEL, rollback=True, smokeTest=TEST)),
        _rolled_back,
    ),
    "retry": Story(
        lambda: World(rules=replace(USUAL, failing_attempts=2, creation_seconds=(60.0, 60.0))),
        lambda world: world.ask("bot", requestId="r-1", retries=2),
        _tried_again,
    ),
    "giving up": Story(
        lambda: World(rules=replace(USUAL, failing=1.0, creation_seconds=(60.0, 60.0))),
        lambda world: world.ask("bot", requestId="r-1", retries=1, onFailure="delete"),
        _given_up,
    ),
    "replace": Story(
        lambda: _with(OURS, replace(USUAL, name_reserved_seconds=30.0)),
        lambda world: world.ask("bot", OTHER_MODEL, requestId="r-1", ifExists="replace"),
        _replaced,
    ),
    "expiry": Story(
        lambda: _with(OURS | {EXPIRES_TAG: LONG_AGO}, reap_interval=300.0), _one_has_expired, _only_what_expired_is_gone
    ),
    "full": Story(
        lambda: _with(OURS, replace(USUAL, max_total=1, creation_seconds=(30.0, 30.0)), max_held=3),
        _wait_for_the_slot,
        _slot_was_freed,
    ),
    "full of its own name": Story(
        lambda: _with(OURS, replace(USUAL, max_total=1, creation_seconds=(30.0, 30.0)), max_total=1),
        _wait_for_its_own_slot,
        _own_slot_was_freed,
    ),
    "control queue": Story(
        lambda: World(rules=replace(USUAL, creation_seconds=(30.0, 30.0)), has_control=True),
        _delete_by_control,
        _was_made_and_deleted,
    ),
    "endless list": Story(
        lambda: World(
            rules=replace(USUAL, creation_seconds=(200.0, 200.0), max_creating=3, page_size=1, list_tokens="same"),
            terms={"max_creating": 3},
        ),
        _many_at_once,
        _all_active,
    ),
    "throttled test": Story(
        lambda: World(
            rules=replace(USUAL, creation_seconds=(20.0, 20.0)),
            plan=lambda operation, _: Fault.THROTTLED if operation == "Converse" else None,
        ),
        lambda world: world.ask("bot", requestId="r-1", timeout=70, smokeTest=TEST),
        _test_was_throttled,
    ),
    "stopping": Story(_pipeline_that_stops, _stop_pipeline, _stopped),
    "cancel": Story(
        lambda: World(rules=replace(USUAL, creation_seconds=(900.0, 900.0))),
        _cancel,
        lambda world: _is(world, "r-1", "Cancelled", []),
    ),
}


def first_broken() -> str | None:
    """Return the first story that does not end as it is to end; None where all do."""
    return next((name for name in STORIES if breaks(name)), None)


def breaks(name: str) -> bool:
    """Whether a story ends otherwise than it is to, plainly or with a kill somewhere."""
    with quietly():
        try:
            STORIES[name].survives_every_kill(3 if name in LONG else 1)
        except (AssertionError, Deadlock, IndexError):
            return True
    return False
