"""Networks of images."""

import torch
from importers.torch_zoo.table import Case, case
from torch import Tensor, nn
from torch.nn import functional


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
