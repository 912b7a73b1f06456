"""What Slipway logs: events, levels and facts as they stand in the code, and beside them what each means."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SERVICE = Path(__file__).parents[2] / "service" / "slipway"
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}
MEANINGS = {
    "message.superseded": "another message of the same request carries it on; this one is deleted",
    "bury.failed": "what was rejected could not be copied to the dead-letter queue yet; tried again",
    "cancel.outrun": "the same cancel is further on in another message: this one is done with",
    "cancel.passed_on": "a cancel was handed to the requests that it is about",
    "continue.failed": "a request could not be handed on under a new message yet; tried again",
    "continue.given_up": "it could not at all: it is processed under the message that it has, or given back",
    "event.given_up": "SNS refuses the event of an outcome in every form: its message goes to the dead-letter queue instead",
    "request.given_up": "a request ended because it could not be processed: with an event and a dead letter",
    "request.put_off": "the topic takes nothing: the request is continued later, and its outcome published then",
    "bury.given_up": "what was rejected could not be copied to the dead-letter queue at all; its event was published",
    "create.unknown": "a create had no readable answer: it may have been applied, and is looked for first",
    "credentials.refresh_failed": "the credentials could not be refreshed; the old ones are used while they are good",
    "daemon.cut_off": "something hung at the end, and was not waited for any longer",
    "daemon.faulted": "the process ends by an exception that nobody expected: a bug. Exit code 1",
    "daemon.left_early": "at the end of the goodbye something was still held: it comes back by itself",
    "daemon.refused": "it cannot run as it is set up: the sentence says what to do. Exit code 2",
    "daemon.started": "it receives",
    "daemon.stopped": "it has ended cleanly. Exit code 0",
    "daemon.stopping": "a signal came: nothing new is received, and what is held is given back",
    "daemon.waiting": "credentials, queue or STS do not answer yet; they are asked until they do",
    "delete.refused": "Bedrock did not take a delete on",
    "deployment.created": "Bedrock has taken a creation on",
    "deployment.deleted": "Bedrock has taken a delete on",
    "deployment.expired": "its time is over, and a delete was put on the queue",
    "deployment.missing": "neither List nor Get shows any more what was created",
    "deployment.tested": "the smoke test has an answer",
    "deployment.vanished": "what was to be tested is gone",
    "endpoint.listening": "the host and port can be listened on at last",
    "endpoint.waiting": "they cannot yet, as when another process has the port; tried again, and requests are served meanwhile",
    "event.unmatched": "an upstream event that no trigger matches; done with",
    "extend.failed": "leases could not be extended; tried again, while they hold",
    "extend.faulted": "a lease could not be extended because of a programming error",
    "heartbeat.failed": "a Step Functions task did not hear a heartbeat; the next one comes",
    "heartbeat.faulted": "a heartbeat could not be sent because of a programming error",
    "heartbeat.unheard": "nobody waits for heartbeats at that token any more",
    "lease.lost": "somebody else has, or may have, the message: no more is done for it here",
    "local.fault": "the local stand-in failed to answer a call: a bug of the stand-in, answered with status 500",
    "look.failed": "a deployment could not be looked at; tried again",
    "message.duplicated": "SQS delivered what is held already; the newer receipt is used",
    "message.unreadable": "a received message has no id, receipt handle or body, and is left alone",
    "page.faulted": "the status page could not be drawn: a bug",
    "permissions.loaded": "these rules are in force, and this is what SQS calls Slipway itself",
    "pipeline.stopped": "a SageMaker pipeline has stopped; its step was answered",
    "progress.dropped": "an event of progress, not of an end, could not be published",
    "progress.faulted": "a progress event could not be published because of a programming error",
    "publish.failed": "an event could not be published yet; tried again, its message is kept",
    "queue.max_receive_count": "the redrive policy lets a message be received once only",
    "queue.without_dead_letters": "the queue has no redrive policy",
    "readiness.faulted": "a readiness check met a programming error",
    "reaper.failed": "what has expired could not be looked for, or its delete not be sent; tried again",
    "reaper.faulted": "the look for expired deployments met a programming error; it is repeated",
    "reaper.refused": "the tags of this deployment may not be read, or it cannot be deleted now; tried again in a later round",
    "receive.failed": "a receive failed; tried again",
    "receive.faulted": "a receive met a programming error; it is repeated, after growing pauses",
    "release.failed": "a message could not be given back; its lease runs out by itself",
    "reply.failed": "whoever asked could not be told yet; tried again for 15 minutes",
    "reply.given_up": "whoever asked was not told; the event was published",
    "reply.unheard": "nobody waits for that answer any more",
    "request.accepted": "a message was understood, and its request begins, or goes on",
    "request.cut_off": "the coroutine of a request was ended from outside: a bug. Its message comes back",
    "request.continued": "it was handed on under a new message",
    "request.failed_for_now": "an attempt has failed, and what comes of it is handed on",
    "request.faulted": "an exception that nobody expected: a bug. The request is tried again, a few times",
    "request.finished": "all there is to say of a request that has ended",
    "request.postponed": "it waits, and all places are taken: it goes back to the queue for so long",
    "request.paused": "it waits a while, for this reason",
    "request.rejected": "a message was not understood: the field, the problem and the remedy",
    "retry.scheduled": "a call failed in a way that may pass, and is made again",
    "settlement.faulted": "an exception that nobody expected: a bug. The message comes back",
    "settlement.given_up": "a message could not be deleted, given back or sent in time: it may come back",
    "signal.received": "somebody asks it to end",
    "slots.refused": "Bedrock says that the quota is full: so many are in creation, and in all",
    "sender.unknown": "STS did not say who Slipway itself is: what is continued in a new message only adopts",
    "status.unknown": "Bedrock calls a deployment's status a word that Slipway does not know: it waits",
    "sweep.failed": "deployments in flight could not be listed; tried again",
    "sweep.faulted": "a sweep met a programming error; it is repeated",
    "sweep.recovered": "they can be again",
    "tracing.off": "traces are wanted, and cannot be sent: the sentence says why. It runs on",
    "tracing.on": "traces are sent",
    "update.begun": "Bedrock has taken an update on",
    "update.refused": "Bedrock did not take an update on",
    "token.replaced": "Bedrock remembers the token for a deployment that is gone: the next create has another",
}


@dataclass(frozen=True)
class Entry:
    """One call of a logger."""

    event: str
    level: str
    facts: tuple[str, ...]


def entries() -> Iterator[Entry]:
    """Answer every entry that the code may write."""
    for path in sorted(SERVICE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="log"), attr=level), args=[ast.Constant(value=str(event))]
                ) if level in LEVELS:
                    yield Entry(event, LEVELS[level], tuple(word.arg for word in node.keywords if word.arg is not None))


def log_table() -> str:
    """Answer all events, each once, with all facts that it may have. Raises KeyError for one without a meaning."""
    facts: dict[tuple[str, str], dict[str, None]] = {}
    for entry in entries():
        facts.setdefault((entry.event, entry.level), {}).update(dict.fromkeys(entry.facts))
    lines = ["| event | level | facts | means |", "|---|---|---|---|"]
    lines += [
        f"| `{event}` | {level} | {', '.join(f'`{fact}`' for fact in names)} | {MEANINGS[event]} |"
        for (event, level), names in sorted(facts.items())
    ]
    return "\n".join(lines) + "\n"
