"""moto's queues, made safe for threads and fast: no message is lost or received twice, whatever the length of the queue.

moto 5.2.5 computes all attributes of a queue, with three scans of all its messages, for each access to one of them, and changes
its list of messages without a lock. The classes here keep moto's responses and replace its bookkeeping: messages by id and by
receipt handle, under one lock for each queue.

Six things are as in SQS, and not as in moto:

* a message is received by one caller at a time;
* a long poll returns at once when a message arrives, and receives none after its client has disconnected;
* a FIFO queue keeps a deduplication id for five minutes, also after the message was deleted;
* the twelve hours for which a message can be hidden begin with its receive, not when it was sent;
* a group id and a deduplication id have 1 to 128 letters, digits and punctuation; a batch refuses the entry, not all entries;
* a message has the `SenderId` of its sender (`moto_protocol`).

What is still less strict than AWS, so that nothing may rely on it:

* a message that is not in flight can be hidden, and an older receipt handle deletes or hides it;
* the number of messages in flight is not limited, and a visibility timeout beyond twelve hours fails its whole batch;
* empty bodies, control characters, more than ten attributes and repeated ids in a batch are accepted;
* PublishBatch accepts more than 256 KiB in all, and one invalid entry fails all; raw delivery keeps more than ten attributes;
* a FIFO topic deduplicates only by its subscribed FIFO queues;
* a message in a dead-letter queue does not name its source queue; policies and encryption have no effect.
"""

from __future__ import annotations

import copy
import json
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Final, cast

import flask
from moto.core import responses
from moto.core.utils import camelcase_to_underscores, method_names_from_class
from moto.sns import models as sns_models
from moto.sns.exceptions import InvalidParameterValue as SnsInvalidParameterValue
from moto.sqs import models
from moto.sqs.exceptions import InvalidParameterValue, ReceiptHandleIsInvalid

from slipway.local.moto_protocol import identify_callers, sender_id

IsGone = Callable[[], bool]
"""Returns whether the client of a call has disconnected."""

LONGEST_VISIBILITY_MS: Final = 43_200_000
DEDUPLICATION_MS: Final = models.DEDUPLICATION_TIME_IN_SECONDS * 1000
CHECK_SECONDS: Final = 2.0
"""Time between two checks of a long poll whether its client is still connected."""


def _now_ms() -> float:
    return time.time() * 1000.0


_GROUP: Final = re.compile(r"[!-~]{1,128}")


def _refused_id(group: str | None, deduplication: str | None) -> str | None:
    """Return AWS's error text for an invalid id of a message; None if both are valid."""
    for name, value in (("MessageGroupId", group), ("MessageDeduplicationId", deduplication)):
        if value is not None and not _GROUP.fullmatch(value):
            words = f"{name} can only include alphanumeric and punctuation characters. 1 to 128 in length."
            return f"Value {value} for parameter {name} is invalid. Reason: {words}"
    return None


_field_of = cache(camelcase_to_underscores)


class _Attributes(Mapping[str, Any]):
    """A queue's attributes, each computed when it is read."""

    def __init__(self, queue: models.Queue) -> None:
        self._queue = queue

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401  moto's signature
        queue = self._queue
        if name not in self._names():
            raise KeyError(name)
        value = getattr(queue, _field_of(name))
        if name == "RedrivePolicy" and value:
            return json.dumps(value)
        return str(value).lower() if isinstance(value, bool) else value

    def __contains__(self, name: object) -> bool:
        return name in self._names()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def _names(self) -> list[str]:
        queue = self._queue
        fifo = queue.FIFO_ATTRIBUTES if queue.fifo_queue else []
        return queue.BASE_ATTRIBUTES + fifo + (queue.KMS_ATTRIBUTES if queue.kms_master_key_id else [])  # type: ignore[attr-defined]


class PatchedMessage(models.Message):
    """A message whose receipt handles are in the index of its queue, which alone refers to it."""

    def __new__(cls, *_: object, **__: object) -> PatchedMessage:  # noqa: PYI034  no subclass
        """Return a message that moto does not add to a list of its own."""
        return object.__new__(cls)

    received_at = 0.0

    def __init__(self, *given: Any, **more: Any) -> None:  # noqa: ANN401  moto's signature
        super().__init__(*given, **more)
        self.sender_id = sender_id() or models.DEFAULT_SENDER_ID

    def mark_received(self, visibility_timeout: int | None = None) -> None:
        """Count the receive, hide the message and set a new receipt handle."""
        now = self.received_at = _now_ms()
        self.approximate_first_receive_timestamp = self.approximate_first_receive_timestamp or int(now)
        self.approximate_receive_count += 1
        self.visible_at = now + int(visibility_timeout or 0) * 1000
        self._old_receipt_handles.append(self.receipt_handle)  # type: ignore[arg-type]
        self.receipt_handle = secrets.token_hex(92)


class PatchedQueue(models.Queue):
    """A queue whose messages are read and changed only under its lock, `_messages_lock`."""

    def __init__(self, name: str, region: str, account_id: str, **kwargs: Any) -> None:  # noqa: ANN401  moto's signature
        self._by_id: dict[str, PatchedMessage] = {}
        self._by_receipt: dict[str, PatchedMessage] = {}
        self._deduplicated: dict[str, float] = {}
        super().__init__(name, region, account_id, **kwargs)

    @property
    def _messages(self) -> list[models.Message]:
        return list(self._by_id.values())

    @_messages.setter
    def _messages(self, messages: list[models.Message]) -> None:
        self._by_id = {message.id: cast("PatchedMessage", message) for message in messages}
        self._by_receipt = {}

    @property
    def attributes(self) -> Mapping[str, Any]:  # type: ignore[override]
        """Return the attributes; each is computed when it is read."""
        return _Attributes(self)

    @property
    def messages(self) -> list[models.Message]:
        """Return the messages that can be received now."""
        now = _now_ms()
        return [message for message in self._messages if message.visible_at <= now and message.delayed_until <= now]

    @property
    def approximate_number_of_messages_delayed(self) -> int:
        """Return the number of delayed messages."""
        now = _now_ms()
        return sum(message.delayed_until > now for message in self._messages)

    @property
    def approximate_number_of_messages_not_visible(self) -> int:
        """Return the number of messages in flight."""
        now = _now_ms()
        return sum(message.visible_at > now for message in self._messages)

    def add_message(self, message: models.Message) -> None:
        """Add a message, unless this FIFO queue received its deduplication id in the last five minutes."""
        with self._messages_lock:
            if self.fifo_queue and (key := message.deduplication_id) is not None:
                now = _now_ms()
                while self._deduplicated and now - next(iter(self._deduplicated.values())) >= DEDUPLICATION_MS:
                    del self._deduplicated[next(iter(self._deduplicated))]
                if self._deduplicated.setdefault(key, now) != now:
                    return
            self._by_id[message.id] = cast("PatchedMessage", message)
            self._messages_lock.notify()

    def take(self, count: int, visibility_seconds: int) -> list[PatchedMessage]:
        """Receive up to `count` messages; one that was received too often is moved to the dead-letter queue."""
        now = _now_ms()
        oldest = now - int(self.message_retention_period) * 1000  # type: ignore[attr-defined]
        most = int(self.redrive_policy["maxReceiveCount"]) if self.dead_letter_queue and self.redrive_policy else None
        taken: list[PatchedMessage] = []
        dead_letters: list[PatchedMessage] = []
        with self._messages_lock:
            busy = self._busy_groups(now) if self.fifo_queue else frozenset()
            for message in self._by_id.values():
                if message.visible_at > now or message.delayed_until > now or message.group_id in busy:
                    continue
                if message.sent_timestamp <= oldest:
                    continue
                if most is not None and message.approximate_receive_count >= most:
                    dead_letters.append(message)
                    continue
                message.mark_received(visibility_seconds)
                self._by_receipt[message.receipt_handle] = message  # type: ignore[index]
                taken.append(copy.copy(message))
                if len(taken) == count:
                    break
            for message in dead_letters:
                self._forget(message)
        for message in dead_letters:
            self.dead_letter_queue.add_message(message)  # type: ignore[union-attr]
        return taken

    def wait_for_take(self, count: int, visibility_seconds: int, wait_seconds: float, is_gone: IsGone) -> list[PatchedMessage]:
        """Receive as `take` does, waiting for a first message; nothing once `is_gone`."""
        until = time.monotonic() + wait_seconds
        while True:
            with self._messages_lock:
                if is_gone():
                    self._messages_lock.notify()  # another poll may receive the message
                    return []
                if taken := self.take(count, visibility_seconds):
                    return taken
                left = until - time.monotonic()
                if left <= 0:
                    return []
                self._messages_lock.wait(min(left, CHECK_SECONDS, self._seconds_to_next()))

    def delete_message(self, receipt_handle: str) -> None:
        """Delete by any receipt handle that the message ever had. Safe to repeat."""
        with self._messages_lock:
            message = self._by_receipt.get(receipt_handle)
            if message is not None:
                self._forget(message)
                self.deleted_messages.update(handle for handle in message.all_receipt_handles if handle is not None)
                self._messages_lock.notify_all()  # its group is free
            elif receipt_handle not in self.deleted_messages:
                raise ReceiptHandleIsInvalid

    def change_visibility(self, receipt_handle: str, visibility_seconds: int) -> None:
        """Hide a message for this time from now on."""
        with self._messages_lock:
            message = self._by_receipt.get(receipt_handle)
            if message is None:
                raise ReceiptHandleIsInvalid
            visible_at = _now_ms() + visibility_seconds * 1000
            if visible_at - message.received_at > LONGEST_VISIBILITY_MS:
                raise InvalidParameterValue(
                    f"Value {visibility_seconds} for parameter VisibilityTimeout is invalid. Reason: Total "
                    "VisibilityTimeout for the message is beyond the limit [43200 seconds]"
                )
            message.visible_at = visible_at
            if visibility_seconds == 0:
                self._messages_lock.notify_all()

    def _forget(self, message: PatchedMessage) -> None:
        del self._by_id[message.id]
        for handle in message.all_receipt_handles:
            self._by_receipt.pop(handle, None)  # type: ignore[arg-type]

    def _busy_groups(self, now: float) -> frozenset[str | None]:
        return frozenset(message.group_id for message in self._by_id.values() if message.visible_at > now)

    def _seconds_to_next(self) -> float:
        now = _now_ms()
        times = (max(message.visible_at, message.delayed_until) for message in self._by_id.values())
        return max(0.001, (min((at for at in times if at > now), default=now + 60_000) - now) / 1000)


class PatchedTopics(sns_models.SNSBackend):
    """SNS in one Region, which refuses ids that AWS refuses."""

    __module__ = sns_models.__name__  # moto finds a backend's addresses beside its module

    def publish(
        self,
        message: str,
        arn: str | None,
        phone_number: str | None = None,
        subject: str | None = None,
        message_attributes: dict[str, Any] | None = None,
        group_id: str | None = None,
        deduplication_id: str | None = None,
        message_structure: str | None = None,
    ) -> str:
        """Publish a message, unless SNS refuses an id that it has."""
        if (refused := _refused_id(group_id, deduplication_id)) is not None:
            raise SnsInvalidParameterValue(f"Invalid parameter: {refused}")
        return super().publish(
            message, arn, phone_number, subject, message_attributes, group_id, deduplication_id, message_structure
        )


class PatchedBackend(models.SQSBackend):
    """SQS in one Region, with patched queues."""

    __module__ = models.__name__  # moto finds a backend's addresses beside its module

    def receive_message(
        self,
        queue_name: str,
        count: int,
        wait_seconds_timeout: int,
        visibility_timeout: int,
        message_attribute_names: list[str] | None = None,
    ) -> list[models.Message]:
        """Receive what there is, or what comes within `wait_seconds_timeout`."""
        queue = cast("PatchedQueue", self.get_queue(queue_name))
        taken = queue.wait_for_take(count, visibility_timeout, wait_seconds_timeout, _is_client_gone)
        for message in taken:
            models._filter_message_attributes(message, message_attribute_names or [])  # noqa: SLF001  moto's own filter
        return list(taken)

    def send_message(
        self,
        queue_name: str,
        message_body: str,
        message_attributes: dict[str, Any] | None = None,
        delay_seconds: int | None = None,
        deduplication_id: str | None = None,
        group_id: str | None = None,
        *given: Any,  # noqa: ANN401  moto's signature
        **more: Any,  # noqa: ANN401  moto's signature
    ) -> models.Message:
        """Send a message, unless SQS refuses an id that it has."""
        if (refused := _refused_id(group_id, deduplication_id)) is not None:
            raise InvalidParameterValue(refused)
        return super().send_message(
            queue_name, message_body, message_attributes, delay_seconds, deduplication_id, group_id, *given, **more
        )

    def send_message_batch(
        self, queue_name: str, entries: dict[str, dict[str, Any]]
    ) -> tuple[list[models.Message], list[dict[str, Any]]]:
        """Send the entries; one with an id that SQS refuses fails by itself."""
        failed: list[dict[str, Any]] = []
        good: dict[str, dict[str, Any]] = {}
        for key, entry in entries.items():
            refused = _refused_id(entry.get("MessageGroupId"), entry.get("MessageDeduplicationId"))
            if refused is None:
                good[key] = entry
            else:
                failed.append({"Id": entry["Id"], "SenderFault": True, "Code": "InvalidParameterValue", "Message": refused})
        sent, others = super().send_message_batch(queue_name, good)
        return sent, failed + others

    def change_message_visibility(self, queue_name: str, receipt_handle: str, visibility_timeout: int) -> None:
        """Hide a message for this time from now on."""
        cast("PatchedQueue", self.get_queue(queue_name)).change_visibility(receipt_handle, int(visibility_timeout))


def patch_moto() -> None:
    """Make moto use the classes of this module. Call it before the first request."""
    models.Message = PatchedMessage  # type: ignore[misc]
    models.Queue = PatchedQueue  # type: ignore[misc]
    models.sqs_backends.backend = PatchedBackend
    sns_models.sns_backends.backend = PatchedTopics
    identify_callers()
    # Without the cache moto searches all members of a class at every request.
    responses.method_names_from_class = cache(method_names_from_class)  # type: ignore[attr-defined]


def _is_client_gone() -> bool:
    connection: socket.socket | None = flask.request.environ.get("werkzeug.socket") if flask.has_request_context() else None
    if connection is None:
        return False
    try:
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
