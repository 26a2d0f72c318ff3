"""Small networks, each of one family of operations."""

import torch
from importers.torch_zoo.table import Case, case
from torch import Tensor, nn
from torch.nn import functional


@case
def mlp() -> Case:
    layers = nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)
    return Case(nn.Sequential(*layers), (4,))


@case
def leaky() -> Case:
    layers = nn.Linear(3, 5), nn.LeakyReLU(0.2), nn.Linear(5, 4), nn.LeakyReLU(0.1)
    return Case(nn.Sequential(*layers), (3,))


@case
def prelu() -> Case:
    channels = nn.PReLU(4)
    nn.init.uniform_(channels.weight, -0.5, 0.5)
    layers = nn.Conv1d(2, 4, 3), channels, nn.Conv1d(4, 2, 3), nn.PReLU()
    return Case(nn.Sequential(*layers), (2, 8))


class Maxout(nn.Module):
    """The maximum over pieces, in three of the ways it is written."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 8)
        self.second = nn.Linear(4, 6)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x).view(-1, 4, 2).max(-1).values
        z = self.second(y).unflatten(1, (3, 2)).amax(2)
        a, b = y.chunk(2, 1)
        return torch.cat([z, torch.maximum(a, b), torch.minimum(a, 0.5 * b)], 1)


@case
def maxout() -> Case:
    return Case(Maxout(), (3,))


class Absolute(nn.Module):
    """Absolute values and clamps."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 6)
        self.second = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.abs(self.first(x))
        y = self.second(y).clamp(-0.3, 0.4)
        y = functional.hardtanh(3 * y) + functional.softshrink(x.sum(1, keepdim=True))
        return y.clamp(min=0.1) - (1 - y).clamp(max=0.7)


@case
def absolute() -> Case:
    return Case(Absolute(), (3,))


class Shared(nn.Module):
    """Modules used several times, and values written in place."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.act = nn.ReLU()
        self.block = nn.Sequential(nn.Linear(4, 4), self.act)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.fc(x))
        x = self.act(self.fc(x))
        x = self.block(self.block(x))
        out = torch.zeros_like(x)
        out[:, :2] = x[:, 2:]
        out[:, 3] += x[:, 0] * 2
        return out.mul_(3.0).sub_(x)


@case
def shared() -> Case:
    return Case(Shared(), (4,))


class Normalised(nn.Module):
    """All normalisation layers but batch normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.group = nn.GroupNorm(2, 4)
        self.instance = nn.InstanceNorm2d(4, affine=True)
        self.layer = nn.LayerNorm([4, 3, 3])
        self.root = nn.RMSNorm(3)
        nn.init.normal_(self.instance.weight)
        nn.init.normal_(self.group.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(self.instance(self.group(x)))
        z = functional.normalize(self.root(y).flatten(1))
        return z + functional.local_response_norm(x, 2).flatten(1).std(1, keepdim=True)


@case
def normalisation() -> Case:
    return Case(Normalised(), (4, 3, 3), polyhedral=False)


class Smooths(nn.Module):
    """All elementwise functions that are not two-slope, and a bilinear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.form = nn.Bilinear(4, 4, 2)

    def forward(self, x: Tensor) -> Tensor:
        f = functional
        y = [f.elu(x, 0.7), f.selu(x), f.silu(x), f.gelu(x), f.mish(x)]
        y += [f.gelu(x, approximate="tanh"), f.softplus(x, 2.0)]
        y += [torch.sigmoid(x), torch.tanh(x), torch.exp(x), f.logsigmoid(x)]
        positive = x * x + 0.5
        y += [positive.log(), positive.sqrt(), positive.rsqrt(), positive**-1.5, x**3]
        y += [1 / positive, x / positive, f.softsign(x), f.tanhshrink(x), f.glu(x)]
        y += [f.log_softmax(x, 1), x.logsumexp(1, keepdim=True), f.softmin(x, 1)]
        y += [torch.where(x.new_ones(4) > 0, x, x * 2), torch.erf(x), torch.cos(x)]
        y += [x.var(1)[:, None], f.threshold(x, 0.1, 0.1), torch.atan(x)]
        y += [x.sin(), self.form(x, x + 1), f.cosine_similarity(x, x * x)[:, None]]
        return torch.cat(y, 1)


@case
def smooth() -> Case:
    return Case(Smooths(), (4,), polyhedral=False)


class Hard(nn.Module):
    """Functions whose derivative torch itself rounds to single precision."""

    def forward(self, x: Tensor) -> Tensor:
        hard = functional.hardsigmoid(2 * x) + functional.hardswish(4 * x)
        return hard + functional.celu(x, 1.3)


@case
def hard() -> Case:
    return Case(Hard(), (4,), polyhedral=False)


class Moves(nn.Module):
    """Operations that move entries."""

    def forward(self, x: Tensor) -> Tensor:
        f = functional
        y = [
            f.pad(x, (1, 2, 1, 0), mode="reflect"),
            f.pad(x, (1, 2, 1, 0), "replicate"),
        ]
        y += [
            f.pad(x, (2, 1, 0, 1), mode="circular"),
            f.pad(x, (1, 1, -1, 2), value=2.5),
        ]
        y += [f.pixel_shuffle(x, 2), f.pixel_unshuffle(x, 2), f.channel_shuffle(x, 2)]
        y += [
            f.interpolate(x, size=(3, 5), mode="nearest"),
            x.roll(1, 2),
            x.flip([1, 3]),
        ]
        y += [f.interpolate(x, (7, 5), mode="bilinear", align_corners=True), x.tril()]
        y += [f.interpolate(x, (7, 5), mode="bilinear"), f.unfold(x, 3, padding=1)]
        y += [
            f.interpolate(x, (5, 5), mode="bicubic"),
            x[:, [2, 0, 1]],
            x[..., 1:3, ::2],
        ]
        y += [f.interpolate(x, (3, 3), mode="nearest-exact"), x.repeat(1, 2, 1, 1)]
        y += [x.cumsum(2), x[torch.arange(x.shape[0]), 1], torch.stack([x, x + 1], 2)]
        y += list(x.split([1, 3], 1)) + list(x.unbind(1)) + [x.movedim(1, 3), x.mT]
        y += [x.repeat_interleave(2, 1), f.adaptive_avg_pool2d(x, (3, 2))]
        y += [f.adaptive_max_pool2d(x, (3, 2)), f.avg_pool2d(x, 2, divisor_override=3)]
        y += [
            f.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
            f.max_pool2d(x, 2, 1, dilation=2),
        ]
        return torch.cat([part.flatten(1) for part in y], 1)


@case
def moves() -> Case:
    return Case(Moves(), (4, 4, 4))


class Convolutions(nn.Module):
    """Convolutions of every rank, transposed ones, padding modes, frames in time."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv1d(
            2, 4, 3, 2, 1, dilation=2, groups=2, padding_mode="circular"
        )
        self.turned = nn.ConvTranspose1d(4, 2, 3, 2, 1, 1, groups=2, dilation=2)
        self.far = nn.ConvTranspose1d(2, 2, 2, 1, 0, 1, dilation=3)
        self.three = nn.Conv3d(1, 2, 2)
        self.back = nn.ConvTranspose3d(2, 1, 2, 2)
        self.even = nn.Conv2d(1, 2, (2, 4), padding="same", padding_mode="reflect")
        self.frames = nn.Conv2d(2, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.far(self.turned(self.one(x)))
        volume = x.reshape(-1, 1, 2, 3, 4)
        z = functional.avg_pool3d(self.back(self.three(volume)), 2)
        images = x.reshape(x.shape[0] * 2, 1, 3, 4)
        frames = functional.max_pool2d(self.frames(self.even(images)), 2)
        return torch.cat([y.flatten(1), z.flatten(1), frames.view(x.shape[0], -1)], 1)


@case
def convolutions() -> Case:
    return Case(Convolutions(), (2, 12))
