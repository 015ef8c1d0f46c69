"""Measure models on pairs of pictures: see configs/inference/evaluate.yaml for every key."""

import sys

import hydra
from omegaconf import DictConfig

from nst.cli import entry_point, one_line_errors


@hydra.main(version_base="1.3", config_path="../configs/inference", config_name="evaluate")
@one_line_errors
def main(cfg: DictConfig) -> None:
    from nst.evaluation import evaluate  # late: `--help` and config errors need no torch

    sys.exit(1 if evaluate(cfg).failed else 0)


if __name__ == "__main__":
    entry_point(main)
