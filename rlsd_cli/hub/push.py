"""Sending a run's model to the hub."""

from __future__ import annotations

from typing import Any

from rlsd_cli.errors import UserError
from rlsd_cli.hub.card import card
from rlsd_cli.runs.directory import RunDir, write_text


def check_pushable(run_dir: RunDir) -> None:
    """Check that a run has ended with a model, and that its files are its own.

    Raises:
        UserError: It has none, or there are symbolic links, by which other files would be sent.
    """
    links = [path for path in run_dir.model_dir.rglob("*") if path.is_symlink()]
    if links:
        raise UserError(f"{links[0]} is a symbolic link, which is not sent: put the file itself.")
    if not (run_dir.model_dir / "config.json").is_file() and not (run_dir.model_dir / "adapter_config.json").is_file():
        raise UserError(
            f"{run_dir.path} has no final model yet: let the training end first (--resume goes on with it)."
        )


def check_name(repo_id: str) -> None:
    """Check the name of a repository before anything is written or sent.

    Raises:
        UserError: It is not OWNER/NAME as the hub allows it.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(repo_id)
        _, _ = repo_id.split("/")
    except (HFValidationError, ValueError):
        raise UserError(f"'{repo_id}' is no OWNER/NAME of the hub: letters, digits, '-', '_' and '.' only.") from None


def write_card(run_dir: RunDir) -> str:
    """Write the model card into the run's model directory, and return it."""
    text = card(run_dir)
    write_text(run_dir.model_dir / "README.md", text)
    return text


def push(run_dir: RunDir, repo_id: str, api: Any, private: bool = True) -> str:
    """Upload the model directory with its card to a repository, which is made where there is none.

    Args:
        run_dir: A finished run.
        repo_id: Owner and name.
        api: A `huggingface_hub.HfApi`.
        private: Whether a new repository is private.

    Returns:
        The address of the commit.

    Raises:
        UserError: There is no final model, the name is none, or the hub refuses.
    """
    from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled

    check_pushable(run_dir)
    write_card(run_dir)
    try:
        api.create_repo(repo_id, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo_id,
            folder_path=str(run_dir.model_dir),
            commit_message="Model trained by rlsd",
            # Optimiser states and pickles have no place in a published model.
            ignore_patterns=["*.bin", "*.pt", "*.pth", ".*"],
        )
    except HFValidationError:
        raise UserError(f"'{repo_id}' is no name of a repository: give OWNER/NAME.") from None
    except OfflineModeIsEnabled:
        raise UserError("the hub can't be reached offline: unset HF_HUB_OFFLINE, then push again.") from None
    except Exception as error:  # of the hub, the network and its libraries: a dozen kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"'{repo_id}' could not be sent to the hub ({reason}): check the network and the name, and log in with "
            "`hf auth login`."
        ) from None
    return str(commit)
