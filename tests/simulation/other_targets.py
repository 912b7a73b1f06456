"""What the monitor sees of a target beside the default: the same promises, told apart by the place."""

from __future__ import annotations

from slipway.core.call_errors import CallFailed
from slipway.local.bedrock_account import StandInDeployment
from tests.simulation.monitor import Monitor
from tests.simulator.observer import Watching


class OtherTargets(Watching):
    """Looks on at one account and its wire, and tells the monitor where that was."""

    def __init__(self, monitor: Monitor, target: str) -> None:
        self._monitor = monitor
        self._target = target

    def began(self, operation: str, process: str | None) -> None:
        self._monitor.began(operation, process, self._target)

    def fired(self, fault: str, operation: str) -> None:
        self._monitor.fired(fault, operation, self._target)

    def happened(self, what: str) -> None:
        self._monitor.happened(what)

    def creating(self, name: str, token: str, lease: object, process: str | None) -> None:
        self._monitor.creating(name, token, lease, process, self._target)

    def created(self, made: StandInDeployment, token: str, process: str | None) -> None:
        self._monitor.created(made, token, process)

    def removed(self, made: StandInDeployment, process: str | None) -> None:
        self._monitor.removed(made, process, self._target)

    def updated(self, made: StandInDeployment, model_arn: str, process: str | None) -> None:
        self._monitor.updated(made, model_arn, process, self._target)

    def create_answered(self, name: str, failed: CallFailed | None, lease: object, process: str | None) -> None:
        self._monitor.create_answered(name, failed, lease, process)

    def looking(self, name: str, process: str | None) -> None:
        self._monitor.looking(name, process, self._target)
