# SPDX-License-Identifier: Apache-2.0
"""Tables of what was measured: figures, and ratios to httpd alone and to the best peer."""
from targets import ALONE


def row(cells):
    return "| " + " | ".join(cells) + " |"


def table(heads, rows):
    return "\n".join([row(heads), "|---" + "|---:" * (len(heads) - 1) + "|"]
                     + [row(cells) for cells in rows])


def base_of(figures, workload):
    return figures.get((ALONE, workload), figures.get((ALONE, "read")))


def to_best_peer(figures, plan, name, workload, base):
    """What we add to httpd alone, divided by what the cheapest peer on the same store adds."""
    added = [figures[peer, workload] - base for peer in plan[name].peers
             if (peer, workload) in figures]
    if not added or min(added) <= 0:
        return ""
    return "%.2f" % ((figures[name, workload] - base) / min(added))


def cpu_table(cpu, plan, workload):
    httpd = {pair: figures[0] for pair, figures in cpu.items()}
    base = base_of(httpd, workload)
    rows = []
    for (name, which), (own, store) in cpu.items():
        if which == workload:
            rows.append([name, "%.1f" % own, "%.2f" % (own / base),
                         to_best_peer(httpd, plan, name, workload, base),
                         "%.1f" % store if plan[name].store else ""])
    return table(["target", "CPU µs of httpd", "to httpd alone", "added, to the best peer",
                  "CPU µs of the store"], rows)


def instruction_table(instructions, plan, workloads):
    names = list(dict.fromkeys(name for name, _ in instructions))
    rows = []
    for name in names:
        cells = [name]
        for workload in workloads:
            figure = instructions.get((name, workload))
            if figure is None:
                cells.append("")
            elif name == ALONE:
                cells.append("(%.0f)" % (figure / 1000))
            else:
                cells.append("%.1f" % ((figure - base_of(instructions, workload)) / 1000))
        rows.append(cells)
    return table(["thousand instructions added"] + list(workloads), rows)


def throughput_table(found, workload):
    rows = []
    for name, which, connections in found:
        if which == workload and connections == 1:
            cells = [name]
            for n in (1, 32):
                rate, p50, p99 = found[name, workload, n]
                alone = found.get((ALONE, workload, n), found.get((ALONE, "read", n)))
                cells += ["%.0f" % rate, "%.2f" % (rate / alone[0]) if alone else "",
                          "%.2f" % p50, "%.2f" % p99]
            rows.append(cells)
    return table(["target", "1: requests/s", "to alone", "p50 ms", "p99 ms",
                  "32: requests/s", "to alone", "p50 ms", "p99 ms"], rows)


def memory_table(found, workloads):
    rows = []
    for name in dict.fromkeys(name for name, _ in found):
        rows.append([name] + ["%d" % (found[name, workload] // 1024)
                              if (name, workload) in found else "" for workload in workloads])
    return table(["KiB grown"] + list(workloads), rows)
