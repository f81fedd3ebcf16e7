"""Memory of each service of a running stack, sampled once a minute, and where it goes.

    python3 deployments/compose/memory.py [MINUTES] > samples.tsv       60 unless told

Asks `docker compose` of this folder and its .env. Samples go to standard output, one line a minute: what
`docker stats` shows, which is without the page cache that the kernel may take back. The table goes to standard error.
"""

import json
import subprocess
import sys
import time

UNITS = {"B": 1 / 2**20, "KiB": 1 / 2**10, "MiB": 1, "GiB": 2**10}


def main(minutes: int) -> None:
    samples: dict[str, list[tuple[float, float]]] = {}
    began = time.monotonic()
    for minute in range(minutes + 1):
        time.sleep(max(0.0, began + 60 * minute - time.monotonic()))
        seen = usage()
        at = (time.monotonic() - began) / 60
        for service, mebibytes in seen.items():
            samples.setdefault(service, []).append((at, mebibytes))
        print(f"{at:.1f}", *(f"{service}={seen[service]:.1f}" for service in sorted(seen)), sep="\t", flush=True)
    print(table(samples), file=sys.stderr)


def usage() -> dict[str, float]:
    """MiB of each service that runs."""
    ids = dict(line.split() for line in docker("compose", "ps", "--format", "{{.ID}} {{.Service}}").splitlines())
    stats = map(json.loads, docker("stats", "--no-stream", "--format", "json", *ids).splitlines())
    return {ids[of["ID"]]: mebibytes(of["MemUsage"].split(" / ")[0]) for of in stats}


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


def mebibytes(text: str) -> float:
    number = text.rstrip("KMGiB")
    return float(number) * UNITS[text[len(number):]]


def table(samples: dict[str, list[tuple[float, float]]]) -> str:
    rows = ["| service | 10th minute | last 10 minutes | most | trend after 10 minutes |", "|---|---|---|---|---|"]
    for service, points in sorted(samples.items()):
        settled = [point for point in points if point[0] >= 10] or points
        last = [value for at, value in points if at >= points[-1][0] - 10]
        rows.append(f"| {service} | {settled[0][1]:.0f} MiB | {sum(last) / len(last):.0f} MiB | "
                    f"{max(value for _, value in points):.0f} MiB | {slope(settled):+.0f} MiB/h |")
    return "\n".join(rows)


def slope(points: list[tuple[float, float]]) -> float:
    """MiB an hour, by least squares."""
    middle = sum(at for at, _ in points) / len(points)
    spread = sum((at - middle) ** 2 for at, _ in points)
    return 60 * sum((at - middle) * value for at, value in points) / spread if spread else 0.0


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
