"""Problems of the files of a data set, and a list of them in which a problem that many files share takes one line."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

SHOWN = 20  # lines
ALONE = 3  # up to this many problems of a kind have a line each


class Kind(NamedTuple):
    """A kind of problem, with a text for one file and a text for many.

    ``{detail}`` stands for the details of the one file, or for the most frequent ones of the many, ``{count}`` for the
    number of files with the problem, and other names for the totals that :func:`listing` gets. The remedy is
    appended to either text.
    """

    one: str
    many: str
    remedy: str = ""


class Problem(NamedTuple):
    """A problem, the file or whatever has it, and details such as the values that are wrong."""

    kind: Kind
    subject: str
    details: tuple[str, ...] = ()


class Wrong(Exception):
    """A picture has a problem."""

    def __init__(self, kind: Kind, *details: str) -> None:
        super().__init__(kind, *details)
        self.kind = kind
        self.details = details

    def of(self, subject: object) -> Problem:
        """Return it as the problem of a file."""
        return Problem(self.kind, str(subject), self.details)


def listing(problems: Sequence[Problem], **totals: int) -> str:
    """Return :data:`SHOWN` lines at most that name the problems, the kind found first at the top, and how many more.

    The totals are numbers of files, for example ``labels=1403``.
    """
    groups: dict[Kind, list[Problem]] = defaultdict(list)
    for problem in problems:
        groups[problem.kind].append(problem)
    lines: list[str] = []
    for kind, group in groups.items():
        if len(group) > ALONE:
            numbers = {name: f"{number:,}" for name, number in {**totals, "count": len(group)}.items()}
            said = kind.many.format(detail=_frequent(group), **numbers)
            lines.append(f"{said}{kind.remedy}; the first: {group[0].subject}")
        else:
            lines += [
                f"{each.subject}: {kind.one.format(detail=', '.join(each.details))}{kind.remedy}" for each in group
            ]
    more = [f"… and {len(lines) - SHOWN:,} more"] if len(lines) > SHOWN else []
    return "\n".join(f"  {line}" for line in lines[:SHOWN] + more)


def _frequent(group: Sequence[Problem]) -> str:
    """Return the most frequent details, and how many files have each unless all have the same."""
    counts = Counter(detail for problem in group for detail in problem.details)
    shown = counts.most_common(5)
    if len(counts) == 1 and shown[0][1] == len(group):
        return shown[0][0]
    more = [f"{len(counts) - len(shown):,} more"] if len(counts) > len(shown) else []
    return ", ".join([f"{detail} ({count:,})" for detail, count in shown] + more)
