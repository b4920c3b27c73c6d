"""From runs to figures: medians, ratios of neighbours in time, the table."""

import statistics
from collections import defaultdict

from figures import at

BETTER = "better"


class Run:
    """One run of one proxy under one workload, as `proxy_load rounds` prints it."""

    def __init__(self, line):
        _, round_, self.workload, self.proxy, *numbers = line.split()
        self.round = int(round_)
        self.answers, self.failed, cpu_ns, wall_ns, self.p50, self.p99 = map(int, numbers)
        self.cpu_us = cpu_ns / 1000 / max(self.answers, 1)
        self.rate = self.answers / wall_ns * 1e9


class Paced:
    """One run at a share of the rate just reached, as `proxy_load paced` prints it."""

    def __init__(self, line):
        _, round_, self.workload, self.proxy, *numbers = line.split()
        self.round = int(round_)
        self.rate, self.answers, self.failed, self.p50, self.p99 = map(int, numbers)


class Runs:
    """All runs of one kind."""

    def __init__(self):
        self.by = defaultdict(dict)

    def add(self, run):
        self.by[run.workload, run.proxy][run.round] = run

    def of(self, workload, proxy):
        return list(self.by.get((workload, proxy), {}).values())

    def all(self):
        return [run for runs in self.by.values() for run in runs.values()]

    def ratios(self, workload, one, other, figure):
        """Of every round that has both, the ratio of the two."""
        a, b = (self.by.get((workload, proxy), {}) for proxy in (one, other))
        return [figure(a[r]) / figure(b[r]) for r in a if r in b and figure(b[r]) > 0]

    def lines(self, workload, label, one, rivals, figure):
        """The lines for machines: the median ratio to each rival, and to the better one, which is the one
        that the ratio is larger to."""
        found = {}
        for rival in rivals:
            ratios = self.ratios(workload, one, rival, figure)
            if ratios:
                found[rival] = statistics.median(ratios)
        if len(found) > 1:
            found[BETTER] = max(found.values())
        return [f"ratio {label} {one}/{rival} {value:.3f}" for rival, value in found.items()]

    def target(self, one, workload, rival, most, figure):
        """Whether the median ratio to a rival is at most `most`, in words."""
        ratios = self.ratios(workload, one, rival, figure)
        if not ratios:
            return None
        found = statistics.median(ratios)
        word = "pass" if found <= most else "miss"
        return f"target {workload}: {found:.3f} of {rival}, at most {most}: {word}"


def spread(values):
    """Median, and what nine of ten are above and below."""
    return f"{statistics.median(values):.3f} ({at(values, 0.1):.3f}-{at(values, 0.9):.3f})"


def table(runs, workloads, proxies, units):
    """Markdown of a closed loop. `units` says for a workload what is told of it if not CPU µs/request, and
    how many of these an answer is."""
    head = "CPU µs/request" if not units else "CPU"
    lines = [
        f"| workload | proxy | {head}: median (p10-p90) | tradewind / proxy: median (p10-p90) | requests/s | p50 / p99 µs |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for workload in workloads:
        for proxy in proxies:
            of = runs.of(workload, proxy)
            if not of:
                continue
            unit, per = units.get(workload, ("", 1))
            cpu = [run.cpu_us / per for run in of]
            ratios = [] if proxy == "tradewind" else runs.ratios(workload, "tradewind", proxy, lambda run: run.cpu_us)
            of_cpu = f"{at(cpu, 0.5):.3g} ({at(cpu, 0.1):.3g}-{at(cpu, 0.9):.3g}) {unit}".strip()
            lines.append(
                f"| {workload} | {proxy} | {of_cpu} | "
                f"{spread(ratios) if ratios else ''} | {at([run.rate for run in of], 0.5):,.0f} | "
                f"{at([run.p50 for run in of], 0.5):,} / {at([run.p99 for run in of], 0.5):,} |"
            )
    return "\n".join(lines)


def paced_table(runs, workloads, proxies, share):
    """Markdown of an open loop."""
    lines = [
        f"| at {share:.0%} of its own rate | proxy | requests/s | p50 / p99 µs | p99 tradewind / proxy: median (p10-p90) |",
        "|---|---|---:|---:|---:|",
    ]
    for workload in workloads:
        for proxy in proxies:
            of = runs.of(workload, proxy)
            if not of:
                continue
            ratios = [] if proxy == "tradewind" else runs.ratios(workload, "tradewind", proxy, lambda run: run.p99)
            lines.append(
                f"| {workload} | {proxy} | {at([run.rate for run in of], 0.5):,} | "
                f"{at([run.p50 for run in of], 0.5):,} / {at([run.p99 for run in of], 0.5):,} | "
                f"{spread(ratios) if ratios else ''} |"
            )
    return "\n".join(lines)
