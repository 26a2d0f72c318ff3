"""Networks of sequences: recurrent ones and transformers."""

import torch
from importers.torch_zoo.table import Case, case
from torch import Tensor, nn
from torch.nn import functional


@case
def relu_rnn() -> Case:
    module = nn.RNN(3, 4, 2, nonlinearity="relu", batch_first=True)
    return Case(module, (3, 3), output=0)


@case
def tanh_rnn() -> Case:
    module = nn.RNN(3, 4, bias=False, bidirectional=True)
    return Case(module, (3, 3), batch_axis=1, output=1, polyhedral=False)


@case
def lstm() -> Case:
    return Case(nn.LSTM(3, 4), (4, 3), batch_axis=1, output=0, polyhedral=False)


class LastStep(nn.Module):
    """A classifier of sequences that reads the last step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        sequence, _ = self.lstm(x)
        return self.head(sequence[:, -1])


@case
def lstm_classifier() -> Case:
    return Case(LastStep(), (3, 3), polyhedral=False)


@case
def gru() -> Case:
    module = nn.GRU(3, 4, batch_first=True, bidirectional=True)
    return Case(module, (3, 3), output=0, polyhedral=False)


@case
def transformer_layer() -> Case:
    module = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
    return Case(module, (4, 8), polyhedral=False)


@case
def transformer_time_first() -> Case:
    layer = nn.TransformerEncoderLayer(4, 2, 6, activation="gelu", norm_first=True)
    module = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    return Case(module, (3, 4), batch_axis=1, polyhedral=False)


class Attention(nn.Module):
    """Causal self-attention in four ways, with weights returned in one."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.query = nn.Linear(4, 4)
        mask = torch.full((3, 3), -torch.inf).triu(1)
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        whole, weights = self.attention(x, x, x, attn_mask=self.mask)
        fast, _ = self.attention(x, x, x, attn_mask=self.mask, need_weights=False)
        q = self.query(x)
        causal = functional.scaled_dot_product_attention(q, x, x, is_causal=True)
        scores = torch.einsum("bik,bjk->bij", q, x)
        closed = scores.masked_fill(self.mask.bool(), -torch.inf).softmax(-1)
        return torch.cat([whole, fast, causal, weights, closed @ x], -1)


@case
def attention() -> Case:
    return Case(Attention(), (3, 4), polyhedral=False)


class Tokens(nn.Module):
    """A small vision transformer: patches, a class token, positions."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 4, 2, 2)
        self.token = nn.Parameter(torch.randn(1, 1, 4))
        self.position = nn.Parameter(torch.randn(1, 5, 4))
        self.block = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.patches(x).flatten(2).transpose(1, 2)
        y = torch.cat([self.token.expand(x.shape[0], -1, -1), y], 1) + self.position
        return self.head(self.norm(self.block(y))[:, 0])


@case
def vision_transformer() -> Case:
    return Case(Tokens(), (1, 4, 4), polyhedral=False)
