"""Take the screenshot of the status page that the README shows: `python -m tests.browser.screenshot`.

A daemon runs against the local AWS stand-in until the page shows deployments in creation, waiting requests and outcomes.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Final

from slipway.local.behaviour import Behaviour
from slipway.local.stack import LocalAws
from tests.browser.chromium import chromium
from tests.e2e.daemons import MODEL, daemon

PICTURE: Final = Path(__file__).parents[2] / "docs" / "images" / "page.png"
BEHAVIOUR: Final = Behaviour(max_creating=3, max_total=40, creation_seconds=(3.0, 6.0), fail_names="fail")
ENDED: Final = (
    "faq-search-v3",
    "support-bot-v41",
    "reviews-nova-v8",
    "claims-triage-v2",
    "intent-router-v12",
    "legal-summary-v1",
)
RUNNING: Final = (
    "support-bot-v42",
    "reviews-nova-v9",
    "translate-de-v5",
    "invoice-reader-v7",
    "sales-notes-v4",
    "hr-policies-v2",
)


async def main() -> None:
    """Write the picture."""
    async with LocalAws(terms=BEHAVIOUR) as aws, daemon(aws) as process, chromium() as tab:
        await process.until(lambda: bool(process.lines("daemon.started")))
        for name in ENDED:
            await aws.send(_request(name, tenant=name.partition("-")[0]))
        await aws.send(_request("onboarding-fail-v1"))
        await aws.send(json.dumps({"modelDeploymentname": "typo", "modelArn": MODEL, "requestId": "nightly-job-218"}))
        await process.until(lambda: len(process.lines("request.finished")) == len(ENDED) + 1)
        aws.bedrock.terms = Behaviour(max_creating=3, max_total=40, creation_seconds=(600.0, 900.0))
        for name in RUNNING:
            await aws.send(_request(name, tenant=name.partition("-")[0]))
        await process.until(lambda: len(process.lines("deployment.created")) >= len(ENDED) + 3)
        await tab.look(width=1280)
        await tab.open(f"http://127.0.0.1:{process.port}/")
        await tab.until("document.querySelectorAll('#waiting tbody tr').length > 2")
        await tab.until("!document.querySelector('#tiles').innerText.includes('not known yet')")
        picture = await tab.picture()
    PICTURE.write_bytes(picture)


def _request(name: str, **more: object) -> str:
    return json.dumps({"modelDeploymentName": name, "modelArn": MODEL, "requestId": f"train-{name}", **more})


if __name__ == "__main__":
    asyncio.run(main())
