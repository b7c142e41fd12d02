"""What was found as a page in Markdown."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from gpu.packing import PACKED_SIDE, PACKINGS
from gpu.parts import BATCH_SIZE, IMAGE_SIZE, RUNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def page(result: dict[str, Any]) -> list[str]:
    lines = ["# GPU check", "", result["machine"]["text"], ""]
    for name, what in (("data", "Data"), ("smoke", "A batch and an epoch on the GPU")):
        if result[name]:
            lines += [f"{what}: {', '.join(f'{key} {value}' for key, value in result[name].items())}.", ""]
    if result["crops"]:
        lines += [f"Crops cut out by the decoder: {result['crops']}.", ""]
    for name, write_page in PAGES.items():
        if result[name]:
            lines += [*section(name, write_page, result[name]), ""]
    for name, reason in result["failed"].items():
        first, *more = reason.splitlines()
        lines += [f"{name}: failed: {first}", "", *(f"    {line}" for line in more), *([""] if more else [])]
    return lines


def section(name: str, write_page: Callable[[Any], Any], found: Any) -> list[str]:
    """What is there of a part; a fault in writing it does not end the measuring of the others."""
    try:
        return list(write_page(found))
    except Exception as error:  # noqa: BLE001  # whatever it is, the page says it
        return [f"{name}: gpu-check.json has it, but it cannot be shown: {type(error).__name__}: {error}"]


def throughput_page(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield f"Random resized crop to {IMAGE_SIZE}, float16, batch {BATCH_SIZE}; median of up to {RUNS} runs:"
    yield from ("", "| device | images/s | slowest | fastest | |", "|---|---|---|---|---|")
    for row in rows:
        yield (
            f"| {row['device']} | {row['images_per_second']:,.0f} | {row['slowest']:,.0f} | {row['fastest']:,.0f} "
            f"| {'' if row['long_enough'] else 'runs under 1 s: too short to quote'} |"
        )


def packing_page(found: dict[str, Any]) -> Iterator[str]:
    steps = found["steps"]
    yield f"Packing colour JPEGs over {PACKED_SIDE} pixels with --resize {PACKED_SIDE}."
    yield from ("", "Wanted on an H200: 5,000 images/s.", "")
    if not found["engines"]:
        yield from ("The driver has no libnvcuvid.so.1, which nvJPEG needs to use the chip's JPEG engines.", "")
    yield (
        f"One decoder and encoder by themselves, of {steps['images']:,} images: "
        + ", ".join(f"{step} {rate:,.0f}/s" for step, rate in steps["rates"].items())
        + (f"; {steps['one by one']} went one by one" if steps["one by one"] else "")
        + "."
    )
    if found["runs"]:
        yield from ("", f'Up to {PACKINGS} times in turn; "once begun" is from the first third on:', "")
        yield "| device | images | images/s, median | slowest | fastest | once begun | one by one |"
        yield "|---|---|---|---|---|---|---|"
    for device in dict.fromkeys(run["device"] for run in found["runs"]):
        runs = [run for run in found["runs"] if run["device"] == device]
        each = sorted(run["rate"] for run in runs)
        steady, alone = statistics.median(run["steady"] for run in runs), runs[0]["one by one"]
        yield (
            f"| {device} | {runs[0]['images']:,} | {statistics.median(each):,.0f} | {each[0]:,.0f} | {each[-1]:,.0f} "
            f"| {steady:,.0f} | {'' if alone is None else alone} |"
        )
    if found["same bytes"] is not None:
        yield from ("", f"The GPU's packings were {'' if found['same bytes'] else 'not '}the same bytes.")
    if found["auto"]:
        yield from ("", f"--device auto took the {found['auto'].upper()}.")
    if found["settings"]:
        yield from ("", "With other settings, nothing written:", "")
        yield from ("| settings | images/s | one by one |", "|---|---|---|")
    for row in found["settings"]:
        name = ", ".join(f"{key} {value}" for key, value in row["settings"].items()) or "as they are"
        rate = row["failure"] if "failure" in row else f"{row['rate']:,.0f}"
        yield f"| {name} | {rate} | {row.get('one by one', '')} |"


def tests_page(tests: list[dict[str, str]]) -> Iterator[str]:
    passed, skipped = (sum(test["outcome"] == outcome for test in tests) for outcome in ("passed", "skipped"))
    yield f"{passed} of {len(tests)} GPU tests passed, {skipped} were skipped."
    yield ""
    for test in tests:
        if test["outcome"] != "passed":
            yield f"- {test['name']}: {test['outcome']}: {' '.join(test['message'].split())}"


def stages_page(report: dict[str, Any]) -> list[str]:
    """The stages as a table, and what of the bare decoder's rate the pipeline has."""
    lines = ["Stages on the GPU, as dali-rec bench measures them:", "", "| stage | images/s | slowest | fastest |"]
    lines.append("|---|---|---|---|")
    middles = {}
    for stage in report["stages"]:
        rates = sorted(one["images"] / one["seconds"] for one in stage["rounds"])
        middles[stage["name"]] = statistics.median(rates)
        lines.append(f"| {stage['name']} | {middles[stage['name']]:,.0f} | {rates[0]:,.0f} | {rates[-1]:,.0f} |")
    if middles.get("decode") and middles.get("pipeline"):
        share = middles["pipeline"] / middles["decode"]
        lines += ["", f"The pipeline has {share:.0%} of the bare decoder's rate; wanted: 95%."]
    return lines


def tuning_page(tuning: dict[str, Any]) -> list[str]:
    """The tuning sweep as a table: each value beside the best so far, in rounds that took turns."""
    lines = ["Tuning on the GPU:", "", "| setting | value | images/s | beside | ± | |", "|---|---|---|---|---|---|"]
    for one in (*tuning["comparisons"], *filter(None, [tuning["confirmation"]]), *tuning["advice"]):
        name = f"{one['name']}, with a training step" if one["paced"] else one["name"]
        lines.append(f"| {name} | {one['value']} | {statistics.median(one['rates']):,.0f} | | | |")
        for other in one["candidates"]:
            if other["failure"]:
                lines.append(f"| | {other['value']} | failed | | | {other['failure']} |")
                continue
            cells = f"{statistics.median(other['rates']):,.0f} | {100 * other['gain']:+.1f} %"
            mark = "chosen" if other["value"] == one["winner"] else ""
            lines.append(f"| | {other['value']} | {cells} | {100 * other['spread']:.1f} | {mark} |")
    return [*lines, "", *tuning["summary"]]


#: Of the parts that have more than a line.
PAGES: dict[str, Callable[[Any], Any]] = {
    "throughput": throughput_page,
    "stages": stages_page,
    "packing": packing_page,
    "tests": tests_page,
    "tuning": tuning_page,
    "comparison": lambda text: [text],
}
