"""The plan's age is git's to say; outside git it is said that nobody knows."""

import dataclasses
import subprocess

import pytest

from salt.report.lab.plan import read_plan
from salt.report.lab.records import read_lab
from support.lab_records import CONFIRM, EXPLORE


def runs(folder, **changed):
    """The confirming runs, as if they had been made otherwise."""
    found = read_lab(folder.records, EXPLORE, CONFIRM).confirm.runs
    return [dataclasses.replace(run, info=run.info.model_copy(update=changed)) for run in found]


@pytest.fixture
def git(folder, monkeypatch):
    """git(*words) in the folder, which is a checkout with one commit: the plan."""
    monkeypatch.delenv("GIT_DIR")
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "somebody")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "somebody@example.org")
        monkeypatch.setenv(f"GIT_{name}_DATE", "2026-11-20T12:00:00+00:00")

    def call(*words):
        return subprocess.run(["git", *words], cwd=folder.root, check=True, capture_output=True, text=True).stdout

    call("init", "--quiet", "--initial-branch=main")
    call("add", "experiments")
    call("commit", "--quiet", "-m", "plan")
    return call


def later(git, folder, name="x"):
    """Another commit, which leaves the plan as it is."""
    (folder.root / name).write_text(name)
    git("add", name)
    git("commit", "--quiet", "-m", name)
    return git("rev-parse", "HEAD").strip()


def test_outside_git_the_age_is_not_known(folder):
    found = runs(folder)
    plan = read_plan(found)
    assert (plan.commit, plan.date, plan.uncommitted, plan.registered, plan.why_not) == (None, None, False, False, "")
    text = " ".join(plan.lines(found))
    assert "core_100-107, core_108-115 (no commit, finished 2026-11-27T12:00:00+00:00)." in text
    assert "no commit of it is known here, nor its age" in text
    assert "whether its commit is older is not known" in text


def test_the_plan_is_older_than_a_run_at_its_commit_or_after_it(folder, git):
    first = git("rev-parse", "HEAD").strip()
    for commit in (first, first[:9], later(git, folder)):
        found = runs(folder, commit=commit)
        plan = read_plan(found)
        assert (plan.commit, plan.date, plan.registered) == (first, "2026-11-20", True)
        text = " ".join(plan.lines(found))
        assert f"commit {first[:10]} of 2026-11-20." in text
        assert "The plan is older than every confirming run, and has the text that they saw." in text


def test_a_plan_that_is_younger_is_told(folder, git):
    first = git("rev-parse", "HEAD").strip()
    folder.write_plan(folder.claims.read_text() + "# more\n")
    git("commit", "--quiet", "-am", "more")
    plan = read_plan(found := runs(folder, commit=first))
    assert plan.changed == ("core_100-107", "core_108-115")
    assert not plan.registered
    assert "ran with another text of it" in " ".join(plan.lines(found))
    found = runs(folder, commit=first, plan_sha256=plan.sha256)  # they saw it before it was committed
    plan = read_plan(found)
    assert (plan.why_not, plan.registered) == ("", False)
    assert "its commit is not older than core_100-107, core_108-115" in " ".join(plan.lines(found))


def test_a_plan_with_changes_is_not_registered(folder, git):
    commit = later(git, folder)
    folder.write_plan(folder.claims.read_text() + "# more\n")
    sha = read_plan(()).sha256
    found = runs(folder, commit=commit, plan_sha256=sha)
    plan = read_plan(found)
    assert (plan.uncommitted, plan.why_not, plan.registered) == (True, "", False)
    assert "has changes that are not committed" in " ".join(plan.lines(found))


def test_a_commit_that_is_not_here_is_told(folder, git):
    found = runs(folder, commit="0" * 40, dirty=True)
    plan = read_plan(found)
    assert plan.older == {"core_100-107": None, "core_108-115": None}
    text = " ".join(plan.lines(found))
    assert "commit 0000000000 with uncommitted changes, unknown here, finished" in text
    assert "whether its commit is older is not known" in text


def test_a_shallow_checkout_does_not_know_when_the_plan_changed(folder, git, tmp_path, monkeypatch):
    later(git, folder)
    git("clone", "--quiet", "--depth=1", f"file://{folder.root}", str(tmp_path / "shallow"))
    monkeypatch.setenv("SALT_ROOT", str(tmp_path / "shallow"))
    (tmp_path / "shallow" / "experiments" / "scales").mkdir()
    assert read_plan(()).commit is None


def test_runs_of_one_commit_stand_together(folder, git):
    first, second = runs(folder, commit=git("rev-parse", "HEAD").strip())
    second = dataclasses.replace(second, info=second.info.model_copy(update={"finished": "2026-11-28T01:00:00+00:00"}))
    text = " ".join(read_plan([first, second]).lines([first, second]))
    assert "core_100-107, core_108-115 (commit " in text
    assert ", finished 2026-11-27T12:00:00+00:00 to 2026-11-28T01:00:00+00:00)." in text


def test_no_runs_yet(folder, git):
    assert read_plan(()).lines(())[-2:] == ["Confirming runs: none.", "There is no confirming run yet."]
    assert not read_plan(()).registered
