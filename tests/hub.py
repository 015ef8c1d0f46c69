"""A stand-in for Hugging Face's hub: repositories are folders, and nothing leaves the machine."""

from __future__ import annotations

import shutil
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import EntryNotFoundError


class LocalHub:
    """Replaces the methods of the client that nst calls, under their own names and parameters."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.commits = root, list[str]()
        for name in ("create_repo", "file_exists", "upload_folder", "snapshot_download"):
            monkeypatch.setattr(HfApi, name, getattr(self, name))

    def folder(self, repo_id: str, revision: str | None = None) -> Path:
        return self.root / repo_id.replace("/", "--") / (revision or "main")

    def create_repo(self, repo_id: str, *, private: bool | None = None, exist_ok: bool = False) -> str:
        self.folder(repo_id).mkdir(parents=True, exist_ok=exist_ok)
        return f"https://huggingface.co/{repo_id}"

    def file_exists(self, repo_id: str, filename: str) -> bool:
        return (self.folder(repo_id) / filename).exists()

    def upload_folder(self, *, repo_id: str, folder_path: str, commit_message: str, ignore_patterns: list[str]) -> None:
        for path in Path(folder_path).iterdir():
            if not any(fnmatch(path.name, pattern) for pattern in ignore_patterns):
                shutil.copy(path, self.folder(repo_id))
        self.commits.append(commit_message)

    def snapshot_download(self, repo_id: str, *, revision: str | None = None, allow_patterns: Any = None) -> str:
        repository = self.folder(repo_id, revision)
        if not repository.is_dir():
            raise EntryNotFoundError(f"404 Client Error: {repo_id} at {revision or 'main'} not found.\n\nDetails")
        copy = self.root / "cache" / repository.relative_to(self.root)
        copy.mkdir(parents=True, exist_ok=True)
        for path in repository.iterdir():
            if any(fnmatch(path.name, pattern) for pattern in allow_patterns):
                shutil.copy(path, copy)
        return str(copy)
