"""Problems of the files of a data set, and a list of them in which a problem that many files share takes one line."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

SHOWN = 20  # lines
ALONE = 3  # up to this many problems of a kind have a line each
MANY = 40  # details of a line that is to name all of them


class Kind(NamedTuple):
    """A kind of problem, with a text for one file and a text for many.

    ``{detail}`` stands for the details of the one file, or for the ``shown`` most frequent ones of the many,
    ``{count}`` for the number of files with the problem, and other names for the totals that :func:`listing` gets.
    The remedy is appended to either text.
    """

    one: str
    many: str
    remedy: str = ""
    shown: int = 5


class Problem(NamedTuple):
    """A problem, the file or whatever has it, and details such as the values that are wrong."""

    kind: Kind
    subject: str
    details: tuple[str, ...] = ()


class Wrong(Exception):
    """A frame or a label has a problem."""

    def __init__(self, kind: Kind, *details: str) -> None:
        super().__init__(kind, *details)
        self.kind = kind
        self.details = details

    def of(self, subject: object) -> Problem:
        """Return it as the problem of a file."""
        return Problem(self.kind, str(subject), self.details)


def kind_of(files: str, what: str, remedy: str = "", shown: int = 5) -> Kind:
    """Return a kind of problem of ``files``, which are frames or labels; the text is the same for one and for many."""
    return Kind(what, f"{{count}} of {{{files}}} {files}: {what}", f"; {remedy}" if remedy else "", shown)


of_frames = partial(kind_of, "frames")
of_labels = partial(kind_of, "labels")


def unknown(what: str) -> Kind:
    """Return the kind of problem of labels with ids, names or colours that the description does not have."""
    remedy = "give each to a class or to void there, or correct the labels"
    return of_labels(f"{what} that the description (fetch.dataset) does not know: {{detail}}", remedy, MANY)


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
            said = kind.many.format(detail=_frequent(group, kind.shown), **numbers)
            lines.append(f"{said}{kind.remedy}; the first: {group[0].subject}")
        else:
            for each in group:
                said = kind.one.format(detail=_joined(each.details[:MANY], len(each.details)))
                lines.append(f"{each.subject}: {said}{kind.remedy}")
    more = [f"… and {len(lines) - SHOWN:,} more"] if len(lines) > SHOWN else []
    return "\n".join(f"  {line}" for line in lines[:SHOWN] + more)


def _frequent(group: Sequence[Problem], shown: int) -> str:
    """Return the most frequent details, and how many files have each unless all have the same."""
    counts = Counter(detail for problem in group for detail in problem.details)
    if all(count == len(group) for count in counts.values()):
        return _joined(list(counts)[:shown], len(counts))
    return _joined([f"{detail} ({count:,})" for detail, count in counts.most_common(shown)], len(counts))


def _joined(details: Sequence[str], total: int) -> str:
    more = [f"{total - len(details):,} more"] if total > len(details) else []
    return ", ".join([*details, *more])
