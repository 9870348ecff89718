"""What `salt caches` writes: chunks found in videos, qualities and seams of latents whose pictures are known."""

import numpy as np
import pytest
import torch

from salt.config import load_scale
from salt.data.clips import as_tensor
from salt.data.prompts import report_prompts
from salt.data.world import render, sample_scene
from salt.evaluation.diagnostics.cache_study import DecodedChunks, caches_protocol, chunk_start
from salt.evaluation.groundtruth.scorer import score_frames, score_video
from salt.evaluation.video import upscale

SCALE = load_scale("tiny")
PROMPTS = report_prompts(SCALE.world, 12)
SIDE = SCALE.world.video_scale


def clip(prompt, seed=0):
    return render(sample_scene(prompt.content, SCALE.world, np.random.default_rng(seed)), SCALE.world)


class Pictures:
    """A codec whose latents are numbers of clips: latent frame t of clip i is decoded to that clip's own frames."""

    def __init__(self, videos):
        self.videos = as_tensor(np.stack(videos))

    def decode(self, latents):
        return self.videos


def test_chunks_lie_where_the_codec_decodes_them():
    assert [chunk_start(frame) for frame in range(4)] == [0, 1, 5, 9]


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: prompt.id)
def test_frames_by_themselves_are_those_of_the_video(prompt):
    """A right clip, its second half blank: means over frames are what the whole video scores."""
    video = clip(prompt)
    video[5:] = video[5:6, :1, :1]
    stored = upscale(video, SIDE)
    frames, whole = (
        score_frames(stored, prompt, "extended", SCALE.world),
        score_video(stored, prompt, "extended", SCALE.world),
    )
    name = "object_class" if len(prompt.content.sprites) == 1 else "multiple_objects"
    assert frames["objects"].tolist() == [1.0] * 5 + [0.0] * 4
    assert frames["objects"].mean() == pytest.approx(whole[name])
    assert 100 * frames["imaging_quality"].mean() == pytest.approx(whole["imaging_quality"])


def test_qualities_are_reported_chunk_by_chunk():
    videos = [clip(prompt) for prompt in PROMPTS]
    for video in videos:
        video[5:] = 0
    decoded = DecodedChunks(Pictures(videos), SCALE, PROMPTS, chunk=1)
    found = decoded.qualities(torch.zeros(len(videos), 1, 3, 1, 1))
    assert found["objects"].shape == (len(PROMPTS), 3)
    np.testing.assert_array_equal(found["objects"], [[1, 1, 0]] * len(PROMPTS))


def test_seams_are_changes_between_chunks():
    still = np.repeat(clip(PROMPTS[0])[:1], SCALE.world.frames, axis=0)
    still[5:] = 255 - still[5:]
    decoded = DecodedChunks(Pictures([still]), SCALE, PROMPTS[:1], chunk=1)
    across, within = (float(values[0]) for _, values in decoded.seams(torch.zeros(1, 1, 3, 1, 1), "cm", 4))
    assert within == 0
    assert across > 0.1


def test_the_protocol_follows_what_is_measured():
    known = caches_protocol(SCALE)
    fewer = SCALE.evaluation.model_copy(update={"defect_samples": 64})
    assert caches_protocol(SCALE.model_copy(update={"evaluation": fewer})) != known
    other = SCALE.evaluation.model_copy(update={"teacher_nfe": 7, "prompts": 12})
    assert caches_protocol(SCALE.model_copy(update={"evaluation": other})) == known
