"""The error message when git cannot answer has all that git says."""

import pytest

from segcore.repository.git import GitError, git


@pytest.mark.usefixtures("own_git")
def test_the_advice_of_git_is_kept(monkeypatch):
    git("init")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(GitError, match=r"git says: fatal: .* git config --global --add safe.directory "):
        git("status")
