"""benchmark(cfg): the figures say what they were measured on, and ratios come from one run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from nst.benchmark import PlainAdaIN, benchmark
from nst.encoders import VGG19


def test_it_writes_every_round_the_machine_and_the_versions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cfg = {"ckpt": "vgg19", "sizes": [32, 64], "peers_up_to": 32, "rounds": 3, "precision": "auto", "device": "cpu"}
    benchmark(OmegaConf.create({**cfg, "output_dir": str(tmp_path)}))
    result = json.loads((tmp_path / "benchmark.json").read_text())
    assert result["machine"]["versions"]["torch"] == torch.__version__.split("+")[0]
    assert result["machine"]["threads"] == torch.get_num_threads()
    names = {(row["size"], row["name"]) for row in result["rows"]}
    assert {(32, "vgg19"), (32, "plain AdaIN"), (64, "vgg19")} <= names and (64, "plain AdaIN") not in names
    for row in result["rows"]:
        assert len(row["seconds"]) == 3 and row["median"] == pytest.approx(np.median(row["seconds"]))
    assert "plain AdaIN" in capsys.readouterr().out


def test_plain_adain_gives_the_decoder_features_with_the_style_s_statistics() -> None:
    network = PlainAdaIN().eval()
    seen: list[torch.Tensor] = []
    network.decoder[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    content, style = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 48, 80)
    with torch.no_grad():
        assert network(content, style).shape == content.shape
        (expected,) = VGG19(["relu4_1"], padding="reflect")(style)
    assert torch.allclose(seen[0].mean((2, 3)), expected.mean((2, 3)), atol=1e-3)
