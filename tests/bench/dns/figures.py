"""From runs to figures: means, ratios of paired rounds with confidence intervals, the table."""

import random
from collections import defaultdict

RESAMPLES = 1000


class Run:
    """One run of one server under one workload, as `dns_load rounds` prints it."""

    def __init__(self, line):
        _, round_, self.workload, self.server, *numbers = line.split()
        self.round = int(round_)
        (
            self.answers,
            self.lost,
            self.cpu_ns,
            self.wall_ns,
            self.p50,
            self.p99,
            self.records,
            self.empty,
            self.nxdomain,
            self.other,
        ) = map(int, numbers)

    def cpu_us(self):
        return self.cpu_ns / 1000 / self.answers

    def rate(self):
        return self.answers / self.wall_ns * 1e9


class Runs:
    """All runs."""

    def __init__(self):
        self.by = defaultdict(dict)
        self.failures = []

    def add(self, run):
        if run.answers == 0:
            self.failures.append(f"{run.workload} on {run.server}: no answer at all in round {run.round}")
            return
        self.by[run.workload, run.server][run.round] = run

    def of(self, workload, server):
        return list(self.by[workload, server].values())

    def has(self, workload, server):
        return (workload, server) in self.by

    def lost(self):
        return sum(run.lost for runs in self.by.values() for run in runs.values())

    def ratio(self, one, other):
        """Ratio of the mean CPU times of two (workload, server), over the rounds that have both, with
        the 95 % interval of a bootstrap over these rounds."""
        a, b = self.by[one], self.by[other]
        pairs = [(a[r].cpu_us(), b[r].cpu_us()) for r in a if r in b]
        rng = random.Random(7)
        spread = []
        for _ in range(RESAMPLES):
            drawn = rng.choices(pairs, k=len(pairs))
            spread.append(sum(x for x, _ in drawn) / sum(y for _, y in drawn))
        spread.sort()
        return (
            sum(x for x, _ in pairs) / sum(y for _, y in pairs),
            spread[int(RESAMPLES * 0.025)],
            spread[int(RESAMPLES * 0.975)],
        )


def at(values, share):
    values = sorted(values)
    return values[min(int(len(values) * share), len(values) - 1)]


def with_interval(ratio):
    return "{:.3f} [{:.3f}-{:.3f}]".format(*ratio)


def table(runs, workloads, servers, memory):
    """Markdown. The ratio is that of the row's server to tradewind's, so above 1 is slower."""
    lines = [
        "| workload | server | CPU µs/query: mean | median (p10-p90) | tradewind / server [95 %] | queries/s | p50 / p99 µs | MiB |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for workload in workloads:
        for server in servers:
            if not runs.has(workload, server):
                continue
            of = runs.of(workload, server)
            cpu = [run.cpu_us() for run in of]
            ratio = ""
            if server != "tradewind" and runs.has(workload, "tradewind"):
                ratio = with_interval(runs.ratio((workload, "tradewind"), (workload, server)))
            lines.append(
                f"| {workload} | {server} | {sum(cpu) / len(cpu):.2f} | "
                f"{at(cpu, 0.5):.2f} ({at(cpu, 0.1):.2f}-{at(cpu, 0.9):.2f}) | {ratio} | "
                f"{at([run.rate() for run in of], 0.5) / 1000:,.0f}k | "
                f"{at([run.p50 for run in of], 0.5)} / {at([run.p99 for run in of], 0.5)} | "
                f"{memory[server] / 1024:.1f} |"
            )
    return "\n".join(lines)
