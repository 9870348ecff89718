"""The world's exact teacher against the lab's, which knows nothing of parts, and against what must hold of any."""

import pytest
import torch
from torch import Tensor

from salt.data.modes import captions_of
from salt.errors import SaltError
from salt.models import factored as module
from salt.models.exact import ExactTeacher, Modes
from salt.models.factored import FactoredTeacher
from support.turning import HashedText, modes

CAPTIONS = ("a red square moving sideways on a black background", "a square moving sideways", "a blue cross",
            "a red ring above a blue cross moving vertically on a gray background")  # fmt: skip
TIMES = torch.tensor([0.02, 0.3, 0.7, 0.98])


@pytest.fixture(scope="module")
def teacher() -> FactoredTeacher:
    named, factored = modes()
    return FactoredTeacher(factored, captions_of(named, HashedText()))


def brute_force(caption: str) -> tuple[ExactTeacher, Tensor]:
    """The lab's teacher of a caption's modes, all written out; and the numbers of the modes."""
    named, factored = modes()
    captions = captions_of(named, HashedText())
    place = captions.names.index(caption)
    every, weights = [], []
    for content, share in zip(captions.contents[place], captions.log_shares[place].exp(), strict=True):
        mode = torch.arange(int(named.bounds[content]), int(named.bounds[content + 1]))
        every.append(mode)
        weights.append(share * named.log_weights[mode].exp())
    mode = torch.cat(every)
    z = torch.zeros(len(mode), 3)
    means = factored.states(mode, z).flatten(1)
    axes = [factored.states(mode, z.index_fill(1, torch.tensor(i), 1.0)).flatten(1) - means for i in range(3)]
    return ExactTeacher(Modes(torch.cat(weights)[None], means[None], torch.stack(axes, dim=2)[None])), mode


def noised(mode: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Clean states of modes drawn from some, with style, and the same at TIMES, in float64."""
    generator = torch.Generator().manual_seed(seed)
    chosen = mode[torch.randint(len(mode), (len(TIMES),), generator=generator)]
    x_0 = modes()[1].states(chosen, torch.randn(len(TIMES), 3, generator=generator))
    noise = torch.randn(x_0.shape, generator=generator, dtype=torch.float64)
    t = TIMES[:, None, None, None, None].double()
    return x_0, (1 - t) * x_0 + t * noise


@pytest.mark.parametrize("caption", CAPTIONS)
def test_posterior_is_that_of_all_modes_written_out(teacher: FactoredTeacher, caption: str) -> None:
    expected, mode = brute_force(caption)
    _, x_t = noised(mode, 0)
    text = HashedText().encode([caption] * len(TIMES))
    prior = torch.ones(len(TIMES), 1, dtype=torch.float64)
    mean = expected.posterior_mean(x_t.flatten(1), TIMES.double(), prior)
    torch.testing.assert_close(teacher.posterior_mean(x_t, TIMES, text).flatten(1), mean, atol=1e-9, rtol=0)
    found = teacher.posterior(x_t, TIMES, teacher.conditions.modes(text))
    responsibility = expected.responsibilities(x_t.flatten(1), TIMES.double(), prior)
    torch.testing.assert_close(found.probability, responsibility.flatten(), atol=1e-9, rtol=0)
    assert torch.equal(found.open.mode, mode.repeat(len(TIMES)))


def test_the_empty_caption_is_the_mixture_of_all_contents(teacher: FactoredTeacher) -> None:
    """Its mean is that of the contents' own means, in the proportion of their evidence."""
    named, _ = modes()
    _, x_t = noised(brute_force(CAPTIONS[0])[1], 1)
    empty = teacher.conditions.modes(HashedText().encode([""] * len(TIMES)))
    found = teacher.posterior(x_t, TIMES, empty)
    assert len(empty.mode) == len(TIMES) * int(named.bounds[-1])
    places = [teacher.conditions.names.index(text) for text in CAPTIONS[::3]]
    one, other = (int(teacher.conditions.contents[place]) for place in places)
    content = torch.searchsorted(named.bounds, found.open.mode, right=True) - 1
    evidence = [
        teacher.posterior(x_t, TIMES, teacher.conditions.modes(HashedText().encode([text] * len(TIMES))))
        for text in CAPTIONS[::3]
    ]
    for sample in range(len(TIMES)):
        mine = found.open.sample == sample
        total = [found.log_joint[mine & (content == number)].logsumexp(0) for number in (one, other)]
        alone = [each.log_joint[each.open.sample == sample].logsumexp(0) for each in evidence]
        shares = [
            float(teacher.conditions.log_shares[teacher.conditions.names.index("")][number]) for number in (one, other)
        ]
        assert float(total[0] - total[1]) == pytest.approx(
            float(alone[0] - alone[1]) + shares[0] - shares[1], rel=1e-9, abs=1e-6
        )


def test_halves_of_a_large_batch_are_the_whole(teacher: FactoredTeacher, monkeypatch: pytest.MonkeyPatch) -> None:
    _, x_t = noised(brute_force(CAPTIONS[0])[1], 2)
    text = HashedText().encode([*CAPTIONS[:2], "", ""])
    whole = teacher.posterior_mean(x_t, TIMES, text)
    monkeypatch.setattr(module, "AT_ONCE", 1)
    torch.testing.assert_close(teacher.posterior_mean(x_t, TIMES, text), whole, atol=1e-10, rtol=0)


def test_near_the_data_it_gives_them_back(teacher: FactoredTeacher) -> None:
    x_0, x_t = noised(brute_force(CAPTIONS[0])[1], 3)
    text = HashedText().encode([CAPTIONS[0]])
    clean = teacher.posterior_mean(x_t[:1], TIMES[:1], text)
    assert (clean - x_0[:1]).abs().max() < 0.01
    velocity = teacher(x_t[:1].float(), TIMES[:1], text)
    assert velocity.dtype == torch.float32
    torch.testing.assert_close(velocity, ((x_t[:1] - clean) / TIMES[0].double()).float(), atol=1e-4, rtol=1e-4)


def test_pure_noise_gives_the_mean_of_all_modes(teacher: FactoredTeacher) -> None:
    expected, _ = brute_force(CAPTIONS[0])
    x_t = torch.randn(1, *modes()[1].latent_shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mean = (expected.log_weights.exp()[0, :, None] * expected.means[0]).sum(0)
    found = teacher.posterior_mean(x_t, torch.ones(1), HashedText().encode([CAPTIONS[0]]))
    torch.testing.assert_close(found.flatten(), mean, atol=1e-10, rtol=0)


def test_a_caption_without_modes_is_refused(teacher: FactoredTeacher) -> None:
    x_t = torch.zeros(2, *modes()[1].latent_shape)
    text = torch.cat([HashedText().encode([CAPTIONS[0]]), HashedText().encode(["a horse"])])
    with pytest.raises(SaltError, match="caption 1 of the batch: the world has no modes for it; accepted: one of its"):
        teacher(x_t, torch.full((2,), 0.5), text)


def test_latents_of_another_shape_are_refused(teacher: FactoredTeacher) -> None:
    with pytest.raises(SaltError, match=r"exact teacher: latents \(12, 4, 6, 6\); accepted: \(12, 3, 6, 6\)"):
        teacher(torch.zeros(1, 12, 4, 6, 6), torch.full((1,), 0.5), HashedText().encode([CAPTIONS[0]]))
