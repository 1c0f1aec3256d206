"""A result committed before `segcore/` had a package per stage: the parts of its files that are read of old commits."""

import hashlib
from pathlib import Path

import pandas as pd

from tests.support.idd_lite import CLASSES

SCORES = """{
  "miou": 0.7387,
  "miou_native": 0.7383,
  "pixel_accuracy": 0.9145,
  "iou": {
    "drivable": 0.964,
    "non_drivable": 0.6005,
    "living": 0.5031,
    "vehicles": 0.6827,
    "roadside": 0.639,
    "far": 0.8388,
    "sky": 0.9425
  },
  "miou_flip": 0.7484
}
"""

COUNTS_MD5 = "2936f6c51e94193c4b60aca7801003fb"
MODEL_MD5 = "476aaffaccbdd57eb56b37ae7827b502"
LOCK = """schema: '2.0'
stages:
  train:
    cmd: exec python -m stages.train
    deps:
    - path: data/arrays/stats.json
      hash: md5
      md5: 4bf43c2ceeab98872c58365678b0557c
      size: 332
    - path: data/random_start.yaml
      hash: md5
      md5: f7b16895de4b32ed18dc386321b14f92
      size: 81
    - path: segcore/loss.py
      hash: md5
      md5: 0d4dfc9922f92fd46159fa758962272a
      size: 1354
    - path: segcore/training.py
      hash: md5
      md5: 9c66f6e6f810373ba1f843bb777f1c34
      size: 12727
    - path: stages/train.py
      hash: md5
      md5: 5b2afc94378b999813d15cd7b2c95933
      size: 6018
    params:
      params.yaml:
        model:
          encoder_only: false
        train:
          init: data/random_start.yaml
          seed: 1
          epochs: 100
    outs:
    - path: data/model/erfnet.safetensors
      hash: md5
      md5: 476aaffaccbdd57eb56b37ae7827b502
      size: 8318368
  evaluate:
    cmd: python -m stages.evaluate
    deps:
    - path: data/model/erfnet.safetensors
      hash: md5
      md5: 476aaffaccbdd57eb56b37ae7827b502
      size: 8318368
    - path: data/native/gtFine
      hash: md5
      md5: ad893b95376fd4509a9cf455459d3b5a.dir
      size: 20130
      nfiles: 12
    - path: segcore/evaluation.py
      hash: md5
      md5: 88564a4a66d7808e6b4ef9e5185a3e9e
      size: 4123
    - path: stages/evaluate.py
      hash: md5
      md5: ee2420641079c7363d87b70349419176
      size: 3210
    params:
      params.yaml:
        evaluate:
          flip: true
    outs:
    - path: metrics/evaluate.json
      hash: md5
      md5: fe0de0e6897acbd423d087d268f04952
      size: 338
    - path: metrics/frames.csv
      hash: md5
      md5: 2936f6c51e94193c4b60aca7801003fb
      size: 6211
"""


def write_old(seed: int = 1, hits: int = 50) -> None:
    """Write a result of the old layout into the working folder, with this seed, and one frame on one drive."""
    Path("metrics").mkdir(exist_ok=True)
    rows = [("026178", "000001", name, hits, 10, 90 - hits) for name in CLASSES]
    pd.DataFrame(rows, columns=["drive", "frame", "class", "tp", "fp", "fn"]).to_csv("metrics/frames.csv", index=False)
    md5 = hashlib.md5(Path("metrics/frames.csv").read_bytes()).hexdigest()
    Path("dvc.lock").write_text(LOCK.replace("seed: 1\n", f"seed: {seed}\n").replace(COUNTS_MD5, md5))
    Path("metrics/evaluate.json").write_text(SCORES)
