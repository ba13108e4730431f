"""Lets the torchvision of a package index be imported beside a torch without CUDA.

Its compiled operators need CUDA's libraries and are not loaded, and its import stops at the first name that is
missing. None of them is called by what is tested here: their names are enough. Python runs this file by itself, in
child processes too, where its folder is on PYTHONPATH.
"""

import torch

try:
    import torchvision  # noqa: F401
except RuntimeError:
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
