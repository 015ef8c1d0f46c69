"""Stylize pictures: see configs/inference/stylize.yaml for every key."""

import sys

import hydra
from omegaconf import DictConfig

from nst.cli import entry_point, one_line_errors


@hydra.main(version_base="1.3", config_path="../configs/inference", config_name="stylize")
@one_line_errors
def main(cfg: DictConfig) -> None:
    from nst.batch import report, stylize  # late: `--help` and config errors need no torch

    sys.exit(report(stylize(cfg)))


if __name__ == "__main__":
    entry_point(main)
