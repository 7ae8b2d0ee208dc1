"""The storm for webhooks in full: `python -m tests.faults.webhooks --events 100000 --kills 5 --seed 1`.

Exits 1 when a promise was broken. 100,000 events take some ten minutes on two cores.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from tests.faults.stage import nursery
from tests.faults.webhook_storm import Report, WebhookStorm


async def _storm(folder: Path, options: argparse.Namespace) -> Report:
    with nursery() as born:
        async with born.attached():
            storm = WebhookStorm(
                born, folder, events=options.events, kills=options.kills, restarts=options.restarts, seed=options.seed
            )
            return await storm.run()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.webhooks", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=5, help="of the hub")
    parser.add_argument("--restarts", type=int, default=5, help="of the chaotic receiver")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="webhooks-"))
    report = asyncio.run(_storm(folder, options))
    print(report)
    if report.violations:
        print(f"What failed is in {folder}", file=sys.stderr)
        sys.exit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
