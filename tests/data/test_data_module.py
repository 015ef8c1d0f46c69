"""The data module and its resumable order of samples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from nst.data.data_module import ResumableSampler, StyleTransferDataModule, original_errors
from nst.errors import UserError

Write = Callable[..., list[Path]]


@pytest.fixture
def folders(write_pictures: Write, tmp_path: Path) -> Path:
    write_pictures(*(f"content/{number}.png" for number in range(12)))
    write_pictures(
        *(f"style/{movement}/{movement}{number}.png" for movement in ("cubism", "pop") for number in range(4))
    )
    return tmp_path


def module(folders: Path, **options: Any) -> StyleTransferDataModule:
    defaults: dict[str, Any] = {
        "crop": 16,
        "content_size": 20,
        "style_size": [16, 24],
        "batch_size": 2,
        "samples_per_epoch": 8,
        "validation_pairs": 3,
        "validation_size": 16,
        "validation_fraction": 0.2,
        "workers": 0,
        "report": folders / "unreadable.txt",
    }
    return StyleTransferDataModule(folders / "content", folders / "style", **(defaults | options))


def training_batches(data: StyleTransferDataModule, epochs: int = 1, **trainer: int) -> list[dict[str, Tensor]]:
    """The batches of some epochs, as a trainer at the given step asks for them."""
    defaults = {"world_size": 1, "global_rank": 0, "global_step": 0, "accumulate_grad_batches": 1}
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    data.trainer = SimpleNamespace(strategy=strategy, **(defaults | trainer))  # type: ignore[assignment]
    data.setup()
    loader = data.train_dataloader()
    return [batch for _ in range(epochs) for batch in loader]


def same(a: list[dict[str, Tensor]], b: list[dict[str, Tensor]]) -> bool:
    return len(a) == len(b) and all(torch.equal(x[key], y[key]) for x, y in zip(a, b, strict=True) for key in x)


# --- the sampler -----------------------------------------------------------------------------------------------------


def epochs(sampler: ResumableSampler, count: int) -> list[list[int]]:
    return [list(sampler) for _ in range(count)]


def test_epochs_go_on_counting() -> None:
    assert epochs(ResumableSampler(4, 0, 1, 0), 3) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


@pytest.mark.parametrize("start", [0, 1, 6, 10, 17, 20])
def test_a_sampler_begun_late_gives_the_tail_of_the_uninterrupted_sequence(start: int) -> None:
    uninterrupted = [index for epoch in epochs(ResumableSampler(10, 0, 1, 0), 3) for index in epoch]
    resumed = epochs(ResumableSampler(10, start, 1, 0), 3 - start // 10)
    assert [index for epoch in resumed for index in epoch] == uninterrupted[start:]
    assert all(epoch[-1] % 10 == 9 for epoch in resumed)  # epochs end where they would have ended


@pytest.mark.parametrize("start", [0, 4, 14])
def test_two_processes_share_the_samples_without_overlap(start: int) -> None:
    first, second = (epochs(ResumableSampler(10, start, 2, rank), 2) for rank in (0, 1))
    for a, b in zip(first, second, strict=True):
        assert len(a) == len(b)
        assert not set(a) & set(b)
    seen = [index for epoch in first + second for index in epoch]
    assert sorted(seen) == list(range(start, (start // 10 + 2) * 10))


def test_lightning_does_not_shuffle_over_it() -> None:
    assert isinstance(ResumableSampler(10, 0, 1, 0), torch.utils.data.DistributedSampler)
    assert len(ResumableSampler(10, 0, 2, 1)) == 5


# --- the module ------------------------------------------------------------------------------------------------------


def test_an_epoch_has_its_number_of_samples_in_batches_of_crops(folders: Path) -> None:
    batches = training_batches(module(folders))
    assert len(batches) == 4
    for batch in batches:
        assert batch["content"].shape == batch["style"].shape == (2, 3, 16, 16)


@pytest.mark.parametrize("step", [1, 3, 4, 6])
def test_a_run_resumed_at_any_step_sees_what_it_would_have_seen(folders: Path, step: int) -> None:
    uninterrupted = training_batches(module(folders), epochs=2)
    resumed = training_batches(module(folders), epochs=2 - step // 4, global_step=step)
    assert same(resumed, uninterrupted[step:])


def test_accumulated_batches_count_as_steps_of_the_optimiser(folders: Path) -> None:
    uninterrupted = training_batches(module(folders))
    assert same(training_batches(module(folders), global_step=1, accumulate_grad_batches=2), uninterrupted[2:])


@pytest.mark.parametrize("step", [1, 2, 3])
def test_an_epoch_has_whole_steps_of_the_optimiser_so_that_every_step_is_found_again(folders: Path, step: int) -> None:
    uninterrupted = training_batches(module(folders, samples_per_epoch=14), epochs=2, accumulate_grad_batches=3)
    assert len(uninterrupted) == 2 * 2 * 3
    resumed = training_batches(
        module(folders, samples_per_epoch=14), epochs=2 - step // 2, global_step=step, accumulate_grad_batches=3
    )
    assert same(resumed, uninterrupted[3 * step :])


def test_two_processes_together_see_what_one_of_twice_the_batch_sees(folders: Path) -> None:
    together = training_batches(module(folders, batch_size=4))
    parts = [training_batches(module(folders), world_size=2, global_rank=rank) for rank in (0, 1)]
    assert len(parts[0]) == len(parts[1]) == len(together) == 2
    for whole, even, odd in zip(together, *parts, strict=True):
        assert torch.equal(whole["content"][0::2], even["content"])
        assert torch.equal(whole["content"][1::2], odd["content"])


def test_loader_processes_change_nothing(folders: Path) -> None:
    assert same(training_batches(module(folders, workers=2)), training_batches(module(folders, workers=0)))


def test_another_seed_gives_other_samples(folders: Path) -> None:
    assert not same(training_batches(module(folders, seed=1)), training_batches(module(folders, seed=2)))


def test_validation_pictures_are_never_trained_on(folders: Path) -> None:
    data = module(folders)
    data.setup()
    training = {*data.contents, *(path for paths in data.styles.values() for path in paths)}
    validation = {*data.validation_contents, *data.validation_styles}
    assert validation and training and not validation & training
    assert {path.parent.name for path in data.validation_styles} == {"cubism", "pop"}
    assert set(data.styles) == {"cubism", "pop"}


def test_validation_pairs_are_fixed(folders: Path) -> None:
    batches = []
    for seed in (1, 2):
        data = module(folders, seed=seed)
        data.setup()
        batches.append(list(data.val_dataloader()))
    assert sum(len(batch["content"]) for batch in batches[0]) == 3
    assert same(*batches)


def test_only_the_movements_asked_for_are_used(folders: Path) -> None:
    data = module(folders, movements=["pop"])
    data.setup()
    assert list(data.styles) == ["pop"]
    assert {path.parent.name for path in data.validation_styles} == {"pop"}


def test_unreadable_pictures_are_listed_and_passed_over(folders: Path) -> None:
    broken = sorted((folders / "content").iterdir())[:5]
    for path in broken:
        path.write_text("no picture")
    data = module(folders, validation_fraction=0.5, validation_pairs=12)
    batches = training_batches(data, epochs=2)
    assert len(batches) == 8
    assert not set(broken) & set(data.validation_contents)
    assert set(data.report.entries()) == {str(path) for path in broken}


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_a_loader_process_comes_out_as_it_was(folders: Path, workers: int) -> None:
    data = module(folders, workers=workers)
    data.setup()
    for path in (folders / "style").rglob("*.png"):
        path.write_text("no picture")
    with pytest.raises(UserError) as error, original_errors():
        next(iter(data.train_dataloader()))
    assert str(error.value).startswith("none of the ") and "Traceback" not in str(error.value)


def test_validation_pictures_are_tried_at_their_size(folders: Path, write_pictures: Write) -> None:
    for path in (folders / "content").iterdir():
        path.unlink()
    write_pictures(*(f"content/long{number}.png" for number in range(4)), width=20_000, height=8)
    write_pictures(*(f"content/{number}.png" for number in range(4)))
    data = module(folders, validation_size=256, validation_fraction=0.5, validation_pairs=8)
    data.setup()
    assert data.validation_contents and not [path for path in data.validation_contents if "long" in path.name]


def test_folders_without_a_readable_picture_are_named(folders: Path) -> None:
    for path in (folders / "content").iterdir():
        path.write_text("no picture")
    with pytest.raises(UserError, match=r"none of the content pictures .* can be read: see .*unreadable\.txt"):
        module(folders).setup()


def test_a_movement_may_be_named_without_a_list(folders: Path) -> None:
    data = module(folders, movements="pop")
    data.setup()
    assert list(data.styles) == ["pop"]


def test_missing_folders_are_named(folders: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="content folder .*nowhere.* does not exist: set data.content_dir"):
        StyleTransferDataModule(tmp_path / "nowhere", folders / "style").setup()
    with pytest.raises(UserError, match="style folder .*nowhere.* does not exist: set data.style_dir"):
        StyleTransferDataModule(folders / "content", tmp_path / "nowhere").setup()


@pytest.mark.parametrize("fraction", [0.0, 1.0, 5])
def test_a_share_that_leaves_one_side_empty_is_refused(folders: Path, fraction: float) -> None:
    with pytest.raises(UserError, match=f"data.validation_fraction must lie between 0 and 1, .*: found {fraction}"):
        module(folders, validation_fraction=fraction).setup()
