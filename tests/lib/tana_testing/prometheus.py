"""A strict reader of the Prometheus text format 0.0.4."""

import re

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})? (\S+)(?: -?\d+)?\Z")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|\Z)')


def parse(text):
    """{name: {frozenset(labels): value}}. ValueError for anything that a strict reader would refuse, and for metrics without HELP and TYPE."""
    if not text.endswith("\n"):
        raise ValueError("no newline at the end")
    types, helps, samples, closed, last = {}, {}, {}, set(), None
    for line in text[:-1].split("\n"):
        if line.startswith("# "):
            word, name, rest = (line[2:].split(" ", 2) + [""])[:3]
            table = {"HELP": helps, "TYPE": types}.get(word)
            if table is None or not re.fullmatch(_NAME, name) or name in table or not rest:
                raise ValueError(f"bad comment: {line!r}")
            if word == "TYPE" and rest not in ("counter", "gauge", "histogram", "summary", "untyped"):
                raise ValueError(f"bad type: {line!r}")
            table[name] = rest
            continue
        match = _SAMPLE.match(line)
        if not match:
            raise ValueError(f"bad sample: {line!r}")
        name, labels, value = match.group(1), match.group(2) or "", float(match.group(3))
        pairs, at = [], 0
        while at < len(labels):
            m = _LABEL.match(labels, at)
            if not m:
                raise ValueError(f"bad labels: {line!r}")
            pairs.append((m.group(1), m.group(2)))
            at = m.end()
        family = name if name in types else re.sub(r"_(bucket|sum|count)\Z", "", name)
        if family not in types or family not in helps:
            raise ValueError(f"{name} has no TYPE or no HELP before it")
        if family != last and family in closed:
            raise ValueError(f"{family} is not in one piece")
        closed.add(family)
        last = family
        if types[family] == "counter" and not name.endswith("_total"):
            raise ValueError(f"counter {name} does not end in _total")
        if types[family] == "counter" and value < 0:
            raise ValueError(f"counter {name} is negative")
        key = frozenset(pairs)
        if key in samples.setdefault(name, {}):
            raise ValueError(f"twice: {line!r}")
        samples[name][key] = value
    return samples
