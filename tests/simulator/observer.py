"""Who looks on while the world works: called on the world's side, as things happen and never later."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slipway.core.call_errors import CallFailed
    from slipway.core.events.callbacks import Callback
    from slipway.core.events.publish import Publication
    from slipway.core.sqs.messages import AnyAttribute
    from slipway.local.bedrock_account import StandInDeployment
    from tests.simulator.sqs import Letter


class Watching:
    """Sees everything and does nothing: what a monitor overrides. `process` is whose call it was; None is the world."""

    def began(self, operation: str, process: str | None) -> None:
        """Note a call that a process has begun."""

    def fired(self, fault: str, operation: str) -> None:
        """Note a fault that has befallen a call."""

    def received(self, letter: Letter, process: str | None) -> None:
        """Note a message handed over."""

    def lapsed(self, letter: Letter) -> None:
        """Note a message that SQS has made visible although it is held."""

    def put(self, letter: Letter | None, body: str, attributes: dict[str, AnyAttribute]) -> None:
        """Note a message sent; None where FIFO deduplication swallowed it."""

    def deleted(self, letter: Letter, process: str | None) -> None:
        """Note a message deleted, by a receipt that held it."""

    def buried(self, letter: Letter) -> None:
        """Note a message that went to the dead-letter queue because it had been received too often."""

    def changed(self, letter: Letter, seconds: float, process: str | None) -> None:
        """Note a visibility changed."""

    def lease_gone(self, receipt: str, process: str | None) -> None:
        """Note a receipt refused."""

    def happened(self, what: str) -> None:
        """Note that something came about which AWS documents nowhere, or which is rare."""

    def creating(self, name: str, token: str, lease: object, process: str | None) -> None:
        """Note a create being sent, for what is held."""

    def created(self, made: StandInDeployment, token: str, process: str | None) -> None:
        """Note a deployment made."""

    def removed(self, made: StandInDeployment, process: str | None) -> None:
        """Note a deployment deleted by a call."""

    def updated(self, made: StandInDeployment, model_arn: str, process: str | None) -> None:
        """Note an update begun by a call."""

    def create_answered(self, name: str, failed: CallFailed | None, lease: object, process: str | None) -> None:
        """Note what a process was told of its create."""

    def lined_up(self, lease: object, process: str) -> None:
        """Note that what is held waits in line for a slot from now on."""

    def went_next(self, lease: object, process: str) -> None:
        """Note whose turn it is in that line."""

    def left_line(self, lease: object, process: str) -> None:
        """Note who has left that line before it was their turn."""

    def lost_turn(self, lease: object, process: str) -> None:
        """Note whose turn came to nothing."""

    def looking(self, name: str, process: str | None) -> None:
        """Note a Get by name or ARN begun."""

    def reckoned(self, error: float, process: str | None) -> None:
        """Note by how many seconds a process is wrong about AWS's clock."""

    def sweeping(self, process: str | None) -> None:
        """Note that a process begins to list deployments of any status."""

    def sweep_failed(self, process: str | None) -> None:
        """Note that such a list was not answered, and may be asked for again at once."""

    def publishing(self, publication: Publication, process: str | None) -> None:
        """Note an event being sent."""

    def published(self, publication: Publication, process: str | None) -> None:
        """Note an event accepted by the topic."""

    def replied(self, reply: Callback, process: str | None) -> None:
        """Note an answer that an asker has heard."""
