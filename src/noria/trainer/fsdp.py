"""Fully sharded data parallelism: weights, gradients and optimizer state cut up over the ranks (Zhao et al. 2023).

Knows how many ranks there are, not what they train: the task cuts its own network (`configure_model`).
"""

from __future__ import annotations

from lightning.pytorch.strategies import ModelParallelStrategy


class FSDPStrategy(ModelParallelStrategy):
    """FSDP2 over all ranks, with whole checkpoints in one file, as every other strategy writes them.

    Lightning's older FSDPStrategy runs on GPUs only and cannot clip gradients by their norm.
    """

    def __init__(self) -> None:
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=False)

    def setup_environment(self) -> None:
        self._data_parallel_size = self.num_nodes * self.num_processes  # by default Lightning cuts over nodes alone
        super().setup_environment()
