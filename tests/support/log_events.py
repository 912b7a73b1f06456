"""Log events of Slipway: names, levels and facts from the code, with their meanings."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SERVICE = Path(__file__).parents[2] / "service" / "slipway"
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}
MEANINGS = {
    "message.superseded": "A later message continues the same request; this one is deleted",
    "bury.failed": "A rejected message could not be copied to the dead-letter queue yet; retried",
    "cancel.outrun": "A later message continues the same cancel; this one is deleted",
    "cancel.passed_on": "A cancel was passed to the requests that it is about",
    "continue.failed": "A request could not be continued in a new message yet; retried",
    "continue.given_up": "A request could not be continued in a new message: its old message is kept, or released",
    "event.given_up": "SNS refused the event of an outcome in every form; the message goes to the dead-letter queue instead",
    "request.given_up": "A request could not be processed and ended, with an event and a dead letter",
    "request.put_off": "The topic accepts no events: the request is continued later, and its outcome published then",
    "bury.given_up": "A rejected message could not be copied to the dead-letter queue; its event was published",
    "call.failed": "A call to Bedrock failed while a request was processed; retried",
    "create.unknown": "A create had no readable response: it may have been applied, and the deployment is looked up first",
    "credentials.refresh_failed": "The credentials could not be refreshed; the old ones are used while they are valid",
    "daemon.cut_off": "A task hung at shutdown; the daemon stopped waiting for it",
    "daemon.faulted": "An unexpected exception ended the process: a bug. Exit code 1",
    "daemon.left_early": "Requests were still in progress at the end of the shutdown; SQS delivers them again",
    "daemon.refused": "The settings are wrong; the message says what to do. Exit code 2",
    "daemon.started": "The daemon receives messages",
    "daemon.stopped": "The daemon has shut down. Exit code 0",
    "daemon.stopping": "A signal arrived: no new messages are received, and requests in progress are returned",
    "daemon.waiting": "Credentials, queue or STS do not answer yet; retried until they do",
    "delete.refused": "Bedrock refused a delete",
    "deployment.created": "Bedrock accepted a create",
    "deployment.deleted": "Bedrock accepted a delete",
    "deployment.expired": "A deployment has expired; a delete was sent to the queue",
    "deployment.missing": "List and Get no longer show a created deployment",
    "deployment.tested": "The smoke test has a result",
    "deployment.vanished": "The deployment to test is gone",
    "endpoint.listening": "The HTTP endpoint listens, after retries",
    "endpoint.waiting": "The HTTP endpoint cannot listen yet, for example on a port in use; retried",
    "event.unmatched": "No trigger matched an upstream event; it is deleted",
    "extend.failed": "Leases could not be extended; retried while they last",
    "extend.faulted": "A lease could not be extended because of a programming error",
    "heartbeat.failed": "A heartbeat to a Step Functions task failed; the next one follows",
    "heartbeat.faulted": "A heartbeat could not be sent because of a programming error",
    "heartbeat.unheard": "The task of this token has ended; no more heartbeats are sent",
    "lease.lost": "Another replica has the message, or may have it: this one stops working on it",
    "local.fault": "The local AWS stand-in failed to answer a call: a bug of the stand-in, answered with status 500",
    "message.duplicated": "SQS delivered a message again whose request is in progress; the newer receipt handle is used",
    "message.unreadable": "A received message has no id, receipt handle or body, and is ignored",
    "page.faulted": "The status page could not be rendered: a bug",
    "permissions.loaded": "The permission rules in force, and the SenderId of Slipway itself",
    "pipeline.stopped": "A SageMaker pipeline was stopped; its step was answered",
    "progress.dropped": "A progress event could not be published",
    "progress.faulted": "A progress event could not be published because of a programming error",
    "publish.failed": "An event could not be published yet; retried, and its message is kept",
    "queue.max_receive_count": "The redrive policy allows one receive only",
    "queue.without_dead_letters": "The queue has no redrive policy",
    "readiness.faulted": "A readiness check failed with a programming error",
    "reaper.failed": "Expired deployments could not be listed, or a delete not be sent; retried",
    "reaper.faulted": "The search for expired deployments failed with a programming error; repeated",
    "reaper.refused": "The tags of a deployment cannot be read, or it cannot be deleted now; retried later",
    "receive.failed": "A receive failed; retried",
    "receive.faulted": "A receive failed with a programming error; repeated with growing pauses",
    "release.failed": "A message could not be released; its lease expires by itself",
    "reply.failed": "A reply could not be delivered yet; retried for 15 minutes",
    "reply.given_up": "A reply could not be delivered; the event was published",
    "reply.unheard": "A reply has no recipient: its task has ended, or its address is wrong",
    "request.accepted": "A message was parsed, and its request begins or continues",
    "request.cut_off": "The coroutine of a request was cancelled from outside: a bug. SQS delivers the message again",
    "request.continued": "A request was continued in a new message",
    "request.failed_for_now": "An attempt failed; the next step is carried in a new message",
    "request.faulted": "An unexpected exception: a bug. The request is retried a few times",
    "request.finished": "A request has ended: outcome, reason, duration",
    "request.postponed": "A waiting request goes back to the queue for this long, because all places are taken",
    "request.paused": "A request waits for a while, for this reason",
    "request.rejected": "A message is not a valid request: field, problem and remedy",
    "retry.scheduled": "A call failed with a temporary error and is retried",
    "settlement.faulted": "An unexpected exception: a bug. SQS delivers the message again",
    "settlement.given_up": "A message could not be deleted, released or sent in time: SQS may deliver it again",
    "signal.received": "A signal asks the daemon to stop",
    "slots.refused": "Bedrock reports a full quota, with this many in creation and in total",
    "sender.known": "STS returned the identity of Slipway after it had not at start",
    "sender.unknown": "STS did not return the identity of Slipway: accounts are not checked, and continued requests adopt",
    "status.unknown": "Bedrock reports a status that Slipway does not know: the request waits",
    "sweep.failed": "Deployments could not be listed; retried",
    "sweep.faulted": "A sweep failed with a programming error; repeated",
    "sweep.recovered": "Deployments can be listed again",
    "tracing.off": "Tracing is configured and impossible, for this reason; the daemon runs without it",
    "tracing.on": "Traces are exported",
    "update.begun": "Bedrock accepted an update",
    "update.refused": "Bedrock refused an update",
    "token.replaced": "Bedrock remembers the token for a deployment that is gone: the next create uses another",
}


@dataclass(frozen=True)
class Entry:
    """One call of a logger."""

    event: str
    level: str
    facts: tuple[str, ...]


def entries() -> Iterator[Entry]:
    """Return every entry that the code may write."""
    for path in sorted(SERVICE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="log"), attr=level), args=[ast.Constant(value=str(event))]
                ) if level in LEVELS:
                    yield Entry(event, LEVELS[level], tuple(word.arg for word in node.keywords if word.arg is not None))


def log_table() -> str:
    """Return all events, each once, with all facts that it may have. Raises KeyError for one without a meaning."""
    facts: dict[tuple[str, str], dict[str, None]] = {}
    for entry in entries():
        facts.setdefault((entry.event, entry.level), {}).update(dict.fromkeys(entry.facts))
    lines = ["| event | level | facts | means |", "|---|---|---|---|"]
    lines += [
        f"| `{event}` | {level} | {', '.join(f'`{fact}`' for fact in names)} | {MEANINGS[event]} |"
        for (event, level), names in sorted(facts.items())
    ]
    return "\n".join(lines) + "\n"
