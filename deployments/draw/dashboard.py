"""Draws the queries of a dashboard as a running Prometheus answers them: one chart a panel, as a PNG.

    deployments/draw/dashboard.py http://127.0.0.1:9090 START END deployments/grafana/dashboards/pipeline.json OUT.png [FROM UNTIL]

It is no picture of Grafana: it shows that every query has an answer, and which. Times are like 2026-11-25T14:03:21Z; between FROM
and UNTIL the charts are shaded.
"""

import html
import json
import sys
import urllib.parse
import urllib.request
from datetime import datetime, timezone

from page import picture

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 560, 205, 62, 50, 24  # of a chart, and its margins
COLUMNS = 2
COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#17becf", "#7f7f7f")
UNITS = {"s": "seconds", "cps": "a second", "bytes": "bytes", "percentunit": "share"}
INTERVALS = {"$__rate_interval": "1m", "$__interval": "10s", "$__range": "1h"}
STEP = 5


def main(prometheus: str, start: str, end: str, dashboard: str, out: str, *shaded: str) -> None:
    begin, stop, *shade = [datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() for text in (start, end, *shaded)]
    with open(dashboard) as content:
        panels = [panel for panel in json.load(content)["panels"] if panel["type"] == "timeseries"]
    charts = []
    for n, panel in enumerate(panels):
        x, y = n % COLUMNS * (WIDTH + 20), n // COLUMNS * (HEIGHT + 14)
        series = [line for target in panel["targets"] for line in ask(prometheus, target, begin, stop)]
        charts.append(f'<g transform="translate({x},{y})">{chart(panel, series, begin, stop, shade)}</g>')
    width, height = COLUMNS * (WIDTH + 20), -(-len(panels) // COLUMNS) * (HEIGHT + 14)
    style = "body { margin: 6px } text { font: 11px 'DejaVu Sans', sans-serif } .title { font-weight: bold; font-size: 13px }"
    picture(f'<style>{style}</style><svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">{"".join(charts)}</svg>',
            width + 12, height + 12, out)


def ask(prometheus: str, target: dict, start: float, end: float) -> list[tuple[str, list]]:
    query = target["expr"]
    for name, value in INTERVALS.items():
        query = query.replace(name, value)
    form = urllib.parse.urlencode({"query": query, "start": start, "end": end, "step": STEP})
    with urllib.request.urlopen(f"{prometheus}/api/v1/query_range?{form}", timeout=60) as answer:
        result = json.load(answer)["data"]["result"]
    return [(legend(target, one["metric"]), [(t, float(v)) for t, v in one["values"] if v != "NaN"]) for one in result]


def legend(target: dict, labels: dict) -> str:
    text = target.get("legendFormat", "")
    for name, value in labels.items():
        text = text.replace("{{" + name + "}}", value)
    return text


def chart(panel: dict, series: list, start: float, end: float, shade: list[float]) -> str:
    highest = max((value for _, points in series for _, value in points), default=0)
    top = nice(highest)
    across = lambda t: LEFT + (t - start) / (end - start) * (WIDTH - LEFT)
    up = lambda value: HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - TOP)
    parts = [f'<text class=title x=0 y=14>{html.escape(panel["title"])}</text>']
    if shade:
        parts.append(f'<rect x="{across(shade[0]):.1f}" y="{TOP}" width="{across(shade[1]) - across(shade[0]):.1f}" height="{HEIGHT - BOTTOM - TOP}" fill="#fbdde6"/>')
    unit = panel["fieldConfig"]["defaults"].get("unit", "")
    parts += axes(top, UNITS.get(unit, ""), start, end, across, up)
    # What is 0 all the time is drawn, and named only where nothing else is.
    named = [line for line in series if any(value for _, value in line[1])] or series[:4]
    for n, (name, points) in enumerate(sorted(series, key=lambda line: line not in named)):
        colour = COLOURS[n % len(COLOURS)]
        parts += [f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" points="{line}"/>' for line in lines(points, across, up)]
    names = sorted(named, key=lambda line: line not in named)
    x = 0
    for n, (name, _) in enumerate(names):
        parts.append(f'<rect x="{x}" y="25" width="12" height="4" fill="{COLOURS[n % len(COLOURS)]}"/><text x="{x + 16}" y="31">{html.escape(name or panel["title"])}</text>')
        x += 30 + 7 * len(name or panel["title"])
    if not series:
        parts.append(f'<text x="{LEFT + 8}" y="{TOP + 20}">no series</text>')
    return "".join(parts)


def lines(points: list, across, up) -> list[str]:
    """Where a series was away, its line is broken."""
    runs, before = [], None
    for t, value in points:
        if before is None or t - before > 1.5 * STEP:
            runs.append([])
        runs[-1].append(f"{across(t):.1f},{up(value):.1f}")
        before = t
    return [" ".join(run) for run in runs]


def axes(top: float, unit: str, start: float, end: float, across, up) -> list[str]:
    parts = []
    for n in range(5):
        value = top * n / 4
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH}" y1="{up(value):.1f}" y2="{up(value):.1f}" stroke="#e5e5e5"/>'
                     f'<text x="{LEFT - 6}" y="{up(value) + 4:.1f}" text-anchor="end">{short(value)}</text>')
    t = start - start % 120 + 120
    while t <= end:
        parts.append(f'<text x="{across(t):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{datetime.fromtimestamp(t, timezone.utc):%H:%M}</text>')
        t += 120
    parts.append(f'<text x="{WIDTH}" y="14" text-anchor="end" fill="#777">{unit}</text>')
    return parts


def nice(highest: float) -> float:
    """The end of an axis whose quarters are short numbers."""
    for exponent in range(-6, 15):
        for factor in (1, 2, 4, 8):
            if highest * 1.05 <= factor * 10**exponent:
                return factor * 10**exponent if highest else 1
    return highest or 1


def short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


if __name__ == "__main__":
    main(*sys.argv[1:])
