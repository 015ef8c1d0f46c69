"""Find hyper-parameters: see configs/tune.yaml for every key."""

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from nst.cli import entry_point, one_line_errors


@hydra.main(version_base="1.3", config_path="../configs", config_name="tune")
@one_line_errors
def main(cfg: DictConfig) -> None:
    from nst.study import tune  # late: `--help` and config errors need no torch

    tune(cfg, HydraConfig.get().overrides.task)


if __name__ == "__main__":
    entry_point(main)
