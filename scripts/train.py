"""Train a model: see configs/train.yaml for every key."""

import hydra
from omegaconf import DictConfig

from nst.cli import entry_point, one_line_errors


@hydra.main(version_base="1.3", config_path="../configs", config_name="train")
@one_line_errors
def main(cfg: DictConfig) -> float | None:
    from nst.training import train  # late: `--help` and config errors need no torch

    return train(cfg).get(cfg.optimized_metric)


if __name__ == "__main__":
    entry_point(main)
