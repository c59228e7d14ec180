"""The project's identity: made once, shared by worktrees, the file's own text untouched."""

from __future__ import annotations

import logging
import multiprocessing
import os
import subprocess
from pathlib import Path
from uuid import UUID

import pytest
from unprivileged import unprivileged

from spec_kitty_sync.errors import UsageError
from spec_kitty_sync.identity import project
from spec_kitty_sync.identity.project import (
    CONFIG,
    ProjectIdentity,
    derive_slug_from_repo,
    ensure_identity,
    load_identity,
)
from spec_kitty_sync.identity.repository import find_repository, origin_url, repo_slug

WITH_COMMENTS = """\
# our agents
agents:
  available: [claude,   codex]   # two of them
  selection:
      strategy: random

sync:
  auto_start: false
"""


def git(folder: Path, *args: str) -> None:
    """Run git as nobody in particular."""
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    subprocess.run(["git", "-C", str(folder), *identity, *args], check=True, capture_output=True)


@pytest.fixture
def repo(tmp_path):
    """A repository with one commit."""
    folder = tmp_path / "My Project"
    folder.mkdir()
    git(folder, "init", "-q")
    git(folder, "commit", "-q", "--allow-empty", "-m", "x")
    return folder


def test_identity_is_made_once_and_stays(repo):
    """The first call makes it, every later one reads it."""
    first = ensure_identity(repo)
    assert first.is_complete
    assert first.project_uuid is not None
    assert first.project_uuid.version == 4
    assert ensure_identity(repo) == first == load_identity(repo)


def test_identity_fills_only_what_is_missing(repo):
    """A stated uuid or slug is kept; only the gaps are filled."""
    known = UUID("550e8400-e29b-41d4-a716-446655440000")
    (repo / ".kittify").mkdir()
    (repo / CONFIG).write_text(f'project:\n  uuid: "{known}"   # from the office\n')
    full = ensure_identity(repo)
    assert full.project_uuid == known
    assert full.project_slug == "my-project"
    assert "# from the office" in (repo / CONFIG).read_text()


def test_identity_leaves_the_text_of_others_alone(repo):
    """Comments, order, spacing and other keys are the same bytes as before."""
    (repo / ".kittify").mkdir()
    (repo / CONFIG).write_text(WITH_COMMENTS)
    (repo / CONFIG).chmod(0o664)
    identity = ensure_identity(repo)
    text = (repo / CONFIG).read_text()
    assert text.startswith(WITH_COMMENTS)
    assert str(identity.project_uuid) in text
    assert (repo / CONFIG).stat().st_mode & 0o777 == 0o664


@pytest.mark.parametrize(
    "text",
    ["{agents: {available: [claude]}}\n", "---\nvcs: {type: git}\n...\n", "project:\n", "\n"],
)
def test_identity_fits_into_any_yaml(repo, text):
    """Flow style, document marks and empty files take an identity too."""
    (repo / ".kittify").mkdir()
    (repo / CONFIG).write_text(text)
    assert load_identity(repo) == ProjectIdentity()
    assert ensure_identity(repo) == load_identity(repo)
    assert load_identity(repo).is_complete


@pytest.mark.parametrize(
    "text",
    ["project: [", "- a\n", "project: text\n", "project:\n  uuid: 7\n",
     "project:\n  uuid: 550e8400-e29b-11d4-a716-446655440000\n"],
)  # fmt: skip
def test_broken_file_is_refused_and_untouched(repo, text):
    """A file that says something else is never overwritten."""
    (repo / ".kittify").mkdir()
    (repo / CONFIG).write_text(text)
    with pytest.raises(UsageError) as caught:
        ensure_identity(repo)
    assert str(CONFIG) in caught.value.message
    assert (repo / CONFIG).read_text() == text


def test_nil_uuid_is_none(repo):
    """The nil UUID counts as no identity and is replaced."""
    (repo / ".kittify").mkdir()
    (repo / CONFIG).write_text("project:\n  uuid: 00000000-0000-0000-0000-000000000000\n")
    assert load_identity(repo).project_uuid is None
    assert ensure_identity(repo).project_uuid is not None


def test_worktrees_share_the_identity(repo, tmp_path):
    """Every worktree has the main working tree's identity, whoever asks first."""
    git(repo, "worktree", "add", "-q", str(tmp_path / "tree"))
    from_tree = ensure_identity(tmp_path / "tree")
    assert not (tmp_path / "tree" / CONFIG).exists()
    assert ensure_identity(repo) == from_tree
    assert from_tree.project_slug == "my-project"


@pytest.mark.parametrize("hidden", ["tree/.git", "repo/.git/worktrees/tree/commondir"])
def test_worktree_whose_repository_cannot_be_read_gets_no_identity_of_its_own(
    repo, tmp_path, hidden
):
    """An error of reading is told, with its reason; it is not taken for another project."""
    tree = tmp_path / "tree"
    git(repo, "worktree", "add", "-q", str(tree))
    ensure_identity(repo)
    path = repo.parent / hidden.replace("repo/", f"{repo.name}/")
    path.chmod(0)

    def refusal() -> str:
        try:
            return str(ensure_identity(tree))
        except UsageError as exc:
            return exc.message

    assert "Permission denied" in unprivileged(refusal)
    assert not (tree / CONFIG).exists()


def test_read_only_project_has_an_identity_for_the_process(repo, caplog, monkeypatch):
    """A project that cannot be written is no error: it says so and goes on."""
    (repo / ".kittify").mkdir()
    if os.geteuid() == 0:
        (repo / ".kittify").rmdir()
        (repo / ".kittify").write_text("in the way: root may write anywhere else")
    else:
        (repo / ".kittify").chmod(0o500)
    with caplog.at_level(logging.WARNING):
        identity = ensure_identity(repo)
    assert identity.is_complete
    assert "cannot be written" in caplog.text


def test_no_second_identity_is_made_beside_one_that_takes_long(repo, tmp_path, monkeypatch):
    """A process that hangs over the first identity must not split the project in two."""
    (tmp_path / "locks").mkdir()
    lock = project._only_one(tmp_path / "locks", repo)
    monkeypatch.setattr(project, "_LOCK_WAIT_S", 0.05)
    with lock, pytest.raises(UsageError, match="another process holds the lock"):
        ensure_identity(repo, locks_dir=tmp_path / "locks")
    assert not (repo / CONFIG).exists()
    assert ensure_identity(repo, locks_dir=tmp_path / "locks").is_complete


def _race(root: str, locks: str, start, found) -> None:
    start.wait()
    found.put(str(ensure_identity(Path(root), locks_dir=Path(locks)).project_uuid))


def test_processes_that_start_at_once_make_one_identity(repo, tmp_path):
    """Whoever comes second takes what the first has made."""
    context = multiprocessing.get_context("fork")
    start, found = context.Event(), context.Queue()
    arguments = (str(repo), str(tmp_path / "locks"), start, found)
    racers = [context.Process(target=_race, args=arguments) for _ in range(6)]
    for racer in racers:
        racer.start()
    start.set()
    uuids = {found.get(timeout=20) for _ in racers}
    for racer in racers:
        racer.join(20)
    assert uuids == {str(load_identity(repo).project_uuid)}


@pytest.mark.parametrize(
    ("url", "slug", "name"),
    [
        ("https://github.com/Acme/My_App.git", "Acme/My_App", "my-app"),
        ("https://user:secret@github.com/acme/app", "acme/app", "app"),
        ("git@github.com:acme/app.git", "acme/app", "app"),
        ("ssh://git@host:2222/group/sub/app.git/", "sub/app", "app"),
        ("/srv/git/Über App.git", None, "uber-app"),
    ],
)
def test_names_come_from_origin_without_its_secrets(repo, url, slug, name):
    """The slug is kebab case from origin; what else stands in the URL never shows."""
    git(repo, "remote", "add", "origin", url)
    repository = find_repository(repo)
    assert repository is not None
    assert origin_url(repository) == url
    assert repo_slug(url) == slug
    assert derive_slug_from_repo(repo) == name


@pytest.mark.parametrize(
    ("folder", "name"), [("Plain Folder!", "plain-folder"), ("日本", "project")]
)
def test_slug_without_a_repository_comes_from_the_folder(tmp_path, folder, name):
    """A folder's name in kebab case, or `project` where nothing of it is left."""
    (tmp_path / folder).mkdir()
    assert derive_slug_from_repo(tmp_path / folder) == name


def test_with_defaults_gives_a_new_identity():
    """Gaps are filled in a copy; what was there stays."""
    given = ProjectIdentity(project_slug="mine")
    full = given.with_defaults()
    assert given == ProjectIdentity(project_slug="mine")
    assert full.is_complete
    assert full.project_slug == "mine"
