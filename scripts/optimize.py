"""Paint one picture by optimising its pixels: see configs/inference/optimize.yaml for every key."""

import hydra
from omegaconf import DictConfig

from nst.cli import entry_point, one_line_errors


@hydra.main(version_base="1.3", config_path="../configs/inference", config_name="optimize")
@one_line_errors
def main(cfg: DictConfig) -> None:
    from nst.optimization_job import run_optimization  # late: `--help` and config errors need no torch

    run_optimization(cfg)


if __name__ == "__main__":
    entry_point(main)
