# SPDX-License-Identifier: Apache-2.0
"""Tables of what was measured: figures, and ratios to httpd alone and to the best peer."""
from budgets import Budgets, growth, growth_of_instructions, own_cost
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


def summary_table(figures, plan):
    """@figures: {(target, workload): one number}. Of those of ours: to httpd alone, and what it adds to
    what the cheapest peer on the same store adds."""
    workloads = list(dict.fromkeys(workload for _, workload in figures))
    rows = []
    for name in [name for name in plan if plan[name].ours]:
        cells = [name]
        for workload in workloads:
            base = base_of(figures, workload)
            if (name, workload) in figures and base:
                cells += ["%.2f" % (figures[name, workload] / base),
                          to_best_peer(figures, plan, name, workload, base)]
            else:
                cells += ["", ""]
        rows.append(cells)
    return table(["target"] + [head for workload in workloads
                               for head in (workload + ": to httpd alone", "added, to the best peer")], rows)


def instruction_table(instructions, plan, workloads):
    names = list(dict.fromkeys(name for name, _ in instructions))
    rows = []
    for name in names:
        cells = [name]
        for workload in workloads:
            figure = instructions.get((name, workload))
            base = base_of(instructions, workload)
            if figure is None or base is None:
                cells.append("")
            elif name == ALONE:
                cells.append("(%.0f)" % (figure / 1000))
            else:
                cells.append("%.1f" % ((figure - base) / 1000))
        rows.append(cells)
    return table(["thousand instructions added"] + list(workloads), rows)


def throughput_table(found, workload):
    rows = []
    for name in dict.fromkeys(name for name, which, _ in found if which == workload):
        cells = [name]
        for n in (1, 32):
            if (name, workload, n) not in found:
                cells += [""] * 4
                continue
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
        cells = [name]
        for workload in workloads:
            grown, each = found.get((name, workload), (None, None))
            cells += ["", ""] if grown is None else ["%d" % (grown // 1024), "%.2f" % each]
        rows.append(cells)
    return table(["target"] + [head for workload in workloads
                               for head in (workload + ": KiB grown", "bytes per request")], rows)


def statement_table(found):
    whats = list(dict.fromkeys(what for figures in found.values() for what in figures))
    return table(["target", "workload"] + whats,
                 [[name, workload] + ["%g" % figures[what] if figures[what] else "" for what in whats]
                  for (name, workload), figures in found.items()])


def size_table(sizes):
    """@sizes: {"cpu", "floors", "forms", "refused"}"""
    rows, ratios = [], growth(sizes)
    for (name, size), (own, store) in sizes["cpu"].items():
        form = sizes["forms"][name]
        cells = [name, "{:,}".format(size), "%.1f" % own, "%.1f" % store if store else ""]
        cells += (["{:,.0f}".format(sizes["floors"][form, size][0]),
                   "%.1f" % own_cost(sizes["floors"], form, size),
                   "%.2f" % (own / own_cost(sizes["floors"], form, size))] if form else [""] * 3)
        rows.append(cells + ["%.2f" % ratio for ratio in ratios.get((name, size), ())[:1]])
        rows[-1] += [""] * (8 - len(rows[-1]))
    notes = ["\n%s, %d bytes: %s." % (name, size, answer) for (name, size), answer in sizes["refused"].items()]
    return table(["engine", "bytes of JSON", "CPU µs added", "of the store", "bytes stored",
                  "their own CPU µs", "ratio", "for each byte more"], rows) + "\n" + "".join(notes)


def floor_table(floors):
    return table(["form", "bytes of JSON", "bytes stored", "hashing", "base64", "inflating", "parsing"],
                 [[form, "{:,}".format(size), "{:,.0f}".format(figures[0])]
                  + ["%.1f" % figure for figure in figures[1:]]
                  for (form, size), figures in sorted(floors.items())])


def call_table(sizes):
    """@sizes: {"calls", "floor instructions", "forms"}"""
    rows, ratios = [], growth_of_instructions(sizes)
    for (name, what, size), (instructions, nodes, writes) in sizes["calls"].items():
        own = sizes["floor instructions"].get((sizes["forms"][name], size))
        ratio = ratios.get((name, size)) if what == "read" else None
        rows.append([name, what, "{:,}".format(size), "{:,.0f}".format(instructions / 1000),
                     "{:,.0f}".format(own / 1000) if own else "", "%.2f" % ratio if ratio else "",
                     "%g" % nodes, "%g" % writes])
    return table(["engine", "workload", "bytes of JSON", "thousand instructions", "the bytes' own",
                  "for each byte more", "nodes of trees made", "calls that serialise or pack"], rows)


def budget_table(figures, plan):
    return table(["budget", "figure", "at most", ""], Budgets(figures, plan).all())
