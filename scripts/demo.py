"""A web page to play with: see configs/inference/demo.yaml for every key."""

import hydra
from omegaconf import DictConfig

from nst.cli import entry_point, one_line_errors


@hydra.main(version_base="1.3", config_path="../configs/inference", config_name="demo")
@one_line_errors
def main(cfg: DictConfig) -> None:
    from nst.page import serve  # late: `--help` and config errors need no torch

    serve(cfg)


if __name__ == "__main__":
    entry_point(main)
