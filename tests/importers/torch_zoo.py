"""A table of small torch modules with the inputs they take: one of each architecture."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Case:
    """A module in float64 with random weights.

    Attributes:
        module: The module, in eval mode.
        shape: Shape of one input.
        batch_axis: Where the module wants the batch.
        output: Which of its outputs is taken.
        polyhedral: Whether it is piecewise affine.
    """

    module: nn.Module
    shape: tuple[int, ...]
    batch_axis: int = 0
    output: int | None = None
    polyhedral: bool = True

    def example(self, rows: int = 2) -> Tensor:
        """Return random inputs as the module takes them."""
        generator = torch.Generator().manual_seed(rows)
        x = torch.randn(rows, *self.shape, generator=generator, dtype=torch.float64)
        return x.movedim(0, self.batch_axis)


Factory: TypeAlias = Callable[[], Case]
ZOO: dict[str, Factory] = {}


def case(factory: Factory) -> Factory:
    """Add a factory to the table: weights drawn with one seed, statistics too."""

    def made() -> Case:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            found = factory()
            module = found.module.double().eval()
            for part in module.modules():
                if isinstance(part, nn.modules.batchnorm._BatchNorm):
                    nn.init.normal_(part.running_mean)
                    nn.init.uniform_(part.running_var, 0.5, 2.0)
                    nn.init.uniform_(part.weight, 0.5, 2.0)
                    nn.init.normal_(part.bias)
        return found

    ZOO[factory.__name__] = made
    return made


@case
def mlp() -> Case:
    layers = nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)
    return Case(nn.Sequential(*layers), (4,))


class Block(nn.Module):
    """A residual block with a projection where the shape changes."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outer)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outer)
        self.shortcut = nn.Identity()
        if stride != 1 or inner != outer:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += self.shortcut(x)
        return self.relu(y)


class ResNet(nn.Module):
    """A residual network with both kinds of shortcut."""

    def __init__(self, widths: tuple[int, ...] = (4, 6), depth: int = 2) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        inner = widths[0]
        for stage, width in enumerate(widths, start=1):
            blocks = []
            for i in range(depth):
                blocks.append(Block(inner, width, 2 if i == 0 and stage > 1 else 1))
                inner = width
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.stages = len(widths)
        self.fc = nn.Linear(inner, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        for stage in range(1, self.stages + 1):
            x = getattr(self, f"layer{stage}")(x)
        x = functional.adaptive_avg_pool2d(x, 1)
        return self.fc(torch.flatten(x, 1))


@case
def resnet() -> Case:
    return Case(ResNet(), (3, 8, 8))


class TypeBShortcut(nn.Module):
    """A residual block whose shortcut drops pixels and pads channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, 2, 1)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        short = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 1))
        y = functional.relu(self.conv(x) + short)
        return self.head(y.mean([2, 3]))


@case
def padded_shortcut() -> Case:
    return Case(TypeBShortcut(), (2, 6, 6))


@case
def vgg() -> Case:
    layers = [
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, padding=1, ceil_mode=True),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(6 * 3 * 3, 8),
        nn.ReLU(),
        nn.Linear(8, 5),
    ]
    return Case(nn.Sequential(*layers), (3, 8, 8))


class Inception(nn.Module):
    """Branches joined along the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(3, 2, 1)
        self.wide = nn.Conv2d(3, 3, 5, padding="same")
        self.pooled = nn.Conv2d(3, 2, 1)
        self.head = nn.Linear(7 * 16, 4)

    def forward(self, x: Tensor) -> Tensor:
        pooled = functional.max_pool2d(x, 3, 1, 1)
        mean = functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        parts = [
            self.narrow(x).relu(),
            self.wide(mean).relu(),
            self.pooled(pooled).relu(),
        ]
        return self.head(torch.cat(parts, 1).view(x.size(0), -1))


@case
def inception() -> Case:
    return Case(Inception(), (3, 4, 4))


@case
def mobilenet() -> Case:
    layers = [
        nn.Conv2d(3, 6, 1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU6(inplace=True),
        nn.Conv2d(6, 6, 3, 2, 1, groups=6, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU6(inplace=True),
        nn.Conv2d(6, 4, 1, bias=False),
        nn.BatchNorm2d(4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    ]
    return Case(nn.Sequential(*layers), (3, 6, 6))


class DenseNet(nn.Module):
    """Every layer reads all earlier ones."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm2d(2 + 2 * i) for i in range(3)])
        self.convs = nn.ModuleList([
            nn.Conv2d(2 + 2 * i, 2, 3, padding=1) for i in range(3)
        ])
        self.transition = nn.AvgPool2d(2)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for norm, conv in zip(self.norms, self.convs, strict=True):
            features.append(conv(torch.relu(norm(torch.cat(features, dim=1)))))
        y = self.transition(torch.cat(features, 1))
        return self.head(y.amax((2, 3)))


@case
def densenet() -> Case:
    return Case(DenseNet(), (2, 4, 4))


class UNet(nn.Module):
    """Down, up by a transposed convolution and by resizing, joined with skips."""

    def __init__(self) -> None:
        super().__init__()
        self.down1 = nn.Conv2d(1, 2, 3, padding=1)
        self.down2 = nn.Conv2d(2, 4, 3, 2, padding=1)
        self.down3 = nn.Conv2d(4, 4, 3, 2, padding=1)
        self.up1 = nn.ConvTranspose2d(4, 4, 3, 2, padding=1, output_padding=1)
        self.up2 = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.near = nn.Upsample(scale_factor=2, mode="nearest")
        self.out = nn.Conv2d(2 + 8 + 8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = torch.relu(self.down1(x))
        b = torch.relu(self.down2(a))
        c = torch.relu(self.down3(b))
        joined = torch.cat([self.up1(c).relu(), b], 1)
        return self.out(torch.cat([self.up2(joined), self.near(joined), a], 1))


@case
def unet() -> Case:
    return Case(UNet(), (1, 8, 8))


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
    """All elementwise functions that are not two-slope."""

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
        y += [x.var(1)[:, None], f.threshold(x, 0.1, 0.1), torch.atan(x), x.sin()]
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
