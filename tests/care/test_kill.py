"""``kill -9`` while several callers write: what was acknowledged is there, whole, and found."""

import asyncio
import json
import sys
from pathlib import Path

from hanmaru.care.fhir.records import ALL
from tests.care import house as house_module
from tests.care.house import house, observation, person, put


async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    async with house(tmp_path) as records:
        patients = [await person(records) for _ in range(2)]
        script = [str(Path(house_module.__file__)), str(tmp_path), *patients]
        for round in range(2):
            writer = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _RUN, *script, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
            )
            assert writer.stdout
            acknowledged = [json.loads(await asyncio.wait_for(writer.stdout.readline(), 30)) for _ in range(60)]
            writer.kill()
            rest = (await writer.stdout.read()).splitlines()
            await writer.wait()
            acknowledged += [json.loads(line) for line in rest if line.endswith(b"]")]
            for pair in acknowledged:
                for id in pair:
                    await records.read(ALL, "Observation", id)
            # This process goes on at once, and its index has what the other's last commits brought.
            await put(records, "Observation", f"after-{round}", observation(patients[0]))
            found = {id for patient in patients for id in await _all(records, patient)}
            assert {id for pair in acknowledged for id in pair} <= found
            stored = records.inline.execute("SELECT count(*) FROM resource WHERE type = 'Observation'").fetchone()[0]
            assert stored == len(found)
            assert (stored - round - 1) % 2 == 0  # pairs, never halves
    async with house(tmp_path) as records:
        assert len({id for patient in patients for id in await _all(records, patient)}) == stored


_RUN = """
import runpy, sys
sys.path.insert(0, ".")
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


async def _all(records: house_module.Records, patient: str) -> list[str]:
    found: list[str] = []
    query = [("patient", patient), ("_count", "1000")]
    page = await records.search(ALL, "Observation", query)
    found += [each.id for each in page.matches]
    while page.next:
        page = await records.search(ALL, "Observation", [*query, ("_cursor", page.next)])
        found += [each.id for each in page.matches]
    return found
