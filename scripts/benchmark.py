"""Time models beside others: see configs/inference/benchmark.yaml for every key."""

import hydra
from omegaconf import DictConfig

from nst.cli import entry_point, one_line_errors


@hydra.main(version_base="1.3", config_path="../configs", config_name="inference/benchmark")
@one_line_errors
def main(cfg: DictConfig) -> None:
    from nst.benchmark import benchmark  # late: `--help` and config errors need no torch

    benchmark(cfg)


if __name__ == "__main__":
    entry_point(main)
