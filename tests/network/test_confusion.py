"""The confusion matrix."""

import torch

from segcore.network.confusion import confusion_matrix


def test_rows_are_the_true_classes():
    matrix = confusion_matrix(torch.tensor([0, 0, 1]), torch.tensor([1, 0, 1]), 2)
    assert matrix.tolist() == [[1, 1], [0, 1]]


def test_it_counts_each_pair_in_maps_of_any_shape():
    generator = torch.Generator().manual_seed(3)
    truth, prediction = (torch.randint(0, 7, (2, 30, 40), generator=generator).to(torch.uint8) for _ in range(2))
    expected = [[int(((truth == t) & (prediction == p)).sum()) for p in range(7)] for t in range(7)]
    assert confusion_matrix(truth, prediction, 7).tolist() == expected


def test_void_counts_neither_in_rows_nor_in_columns():
    truth = torch.tensor([255, 0, 1, 255], dtype=torch.uint8)
    matrices = [confusion_matrix(truth, torch.tensor([p, 0, 1, p]), 3) for p in (0, 2)]
    assert torch.equal(*matrices)
    assert matrices[0].sum() == 2
