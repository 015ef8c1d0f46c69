"""Export a model to ONNX: see configs/inference/export.yaml for every key."""

import hydra
from omegaconf import DictConfig

from nst.cli import entry_point, one_line_errors


@hydra.main(version_base="1.3", config_path="../configs/inference", config_name="export")
@one_line_errors
def main(cfg: DictConfig) -> None:
    from nst.export import export  # late: `--help` and config errors need no torch

    print(export(cfg))


if __name__ == "__main__":
    entry_point(main)
