"""The Boltzmann machine's conditionals against the enumerated joint distribution."""

from itertools import product

import torch

from relulens.reversal.boltzmann import BoltzmannMachine


def test_conditionals_are_those_of_the_joint():
    weight = torch.tensor([[1.0, -2.0], [0.5, 0.3], [-1.0, 0.7]], dtype=torch.float64)
    b = torch.tensor([0.1, -0.2, 0.4], dtype=torch.float64)
    c = torch.tensor([0.3, -0.6], dtype=torch.float64)
    machine = BoltzmannMachine(weight=weight, visible_bias=b, hidden_bias=c)
    for x in product([0.0, 1.0], repeat=3):
        seen = torch.tensor(x, dtype=torch.float64)
        states = [
            torch.tensor(h, dtype=torch.float64) for h in product([0.0, 1.0], repeat=2)
        ]
        mass = torch.stack([
            torch.exp(seen @ weight @ h + b @ seen + c @ h) for h in states
        ])
        wanted = sum(p * h for p, h in zip(mass / mass.sum(), states, strict=True))
        torch.testing.assert_close(machine.hidden_probability(seen[None])[0], wanted)


def test_samples_have_the_conditional_mean():
    machine = BoltzmannMachine(
        weight=torch.tensor([[1.0, -1.0]], dtype=torch.float64),
        visible_bias=torch.zeros(1, dtype=torch.float64),
        hidden_bias=torch.tensor([0.5, 0.5], dtype=torch.float64),
    )
    x = torch.ones(20_000, 1, dtype=torch.float64)
    found = machine.sample_hidden(x).mean(0)
    torch.testing.assert_close(
        found, machine.hidden_probability(x)[0], rtol=0, atol=0.015
    )
    h = machine.sample_hidden(x, seed=1)
    assert machine.sample_visible(h).shape == (20_000, 1)
