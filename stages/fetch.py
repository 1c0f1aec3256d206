"""Bring the frames and labels of a data set to data/raw, and check them."""

from segcore.fetch.bring import bring
from segcore.fetch.members import Limits
from segcore.fetch.source import FetchParams, find_description
from segcore.files import params
from segcore.runtime import console


def main() -> None:
    """Bring the frames and labels to data/raw in one layout, and check every one.

    Reads: what `fetch.dataset` names, the description of the data set;
    what `fetch.source` names, an archive (tar, also with gzip, bzip2 or
    xz, or ZIP), or a folder with the data set or several archives of it.

    Writes: data/raw.

    Parameters: section `fetch` of params.yaml.

    Environment: SEGCORE_THREADS=N, CPU threads; if unset, all cores, or the CPU
    quota of the container.
    """
    section = params.load("fetch", FetchParams)
    description = find_description(section)
    bring(section, description, Limits.of(description))


if __name__ == "__main__":
    console.run(main)
