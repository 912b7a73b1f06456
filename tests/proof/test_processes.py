"""Real processes, killed, stopped and ended while they work: the books balance. The long runs are `tests.proof.processes`."""

from __future__ import annotations

from tests.proof.processes import Plan, Run

QUICK = Plan(
    kills=26,
    requests=60,
    replicas=2,
    creation_seconds=(0.5, 1.5),
    term_share=0.2,
    stop_share=0.05,
    longest_life=0.8,
    stopped_seconds=(1.0, 3.0),
    storm_seconds=22.0,
    quiet_seconds=120.0,
)


async def test_killed_stopped_and_ended_nothing_is_lost_or_made_twice() -> None:
    report = await Run(QUICK).report()
    assert report.violations == [], "\n".join(report.lines())
    assert report.kills >= 5, "fewer than on a machine that does little else, yet some"
    assert report.balance["deployments"] == report.balance["results"] == report.balance["requests"] == 60
