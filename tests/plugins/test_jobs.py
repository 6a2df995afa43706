"""Jobs done in place, and on a farm with real plugins."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from blackbox_afx.errors import AudioError
from blackbox_afx.plugins.blocks import check_output
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.farm_worker import NOT_SOUND, Worker
from blackbox_afx.plugins.jobs import AudioRef, ProbeJob, RenderJob
from tests.plugins.zam_profiles import zam

RATE = 24000
SPEC = ChainSpec(profiles=tuple(builtin_profile(name) for name in ("PeakFilter", "Compressor")))
AUDIO = (0.1 * np.random.default_rng(0).standard_normal((2, 6000))).astype(np.float32)


def render_job(positions, audio=AUDIO, spec=SPEC):
    return RenderJob(spec=spec, audio=audio, positions=np.asarray(positions), sample_rate=RATE)


def test_audio_refs_read_their_stretch_once(tmp_path):
    path = tmp_path / "audio.npy"
    np.save(path, AUDIO)
    whole, part = AudioRef(path=str(path)), AudioRef(path=str(path), start=100, frames=50, channel=1)
    assert whole.shape() == (2, 6000)
    assert part.shape() == (1, 50)
    worker = Worker()
    np.testing.assert_array_equal(worker.audio(part), AUDIO[1:, 100:150])
    assert worker.audio(whole) is worker.audio(AudioRef(path=str(path)))
    with pytest.raises(AudioError, match="has 6000 samples, 5990 to 6040"):
        worker.audio(AudioRef(path=str(path), start=5990, frames=50))
    with pytest.raises(AudioError, match="can't be read"):
        worker.audio(AudioRef(path=str(tmp_path / "none.npy")))


def test_probe_responses_are_the_correlations_of_renders():
    rng = np.random.default_rng(1)
    base, cotangent = rng.random(7), rng.standard_normal(AUDIO.shape)
    points = np.clip(base + 0.1 * rng.standard_normal((5, 7)), 0, 1)
    job = ProbeJob(spec=SPEC, audio=AUDIO, base=base, points=points, cotangent=cotangent, sample_rate=RATE)
    responses = job.run(Worker())
    with SPEC.open() as chain:
        expected = [np.vdot(cotangent, chain.render(AUDIO, point, RATE).astype(np.float64)) for point in points]
    assert responses.dtype == np.float64
    np.testing.assert_allclose(responses, expected, rtol=1e-12)
    none = ProbeJob(spec=SPEC, audio=AUDIO, base=base, points=points[:0], cotangent=cotangent, sample_rate=RATE)
    assert none.run(Worker()).shape == (0,)


def test_jobs_pickle_name_and_hash_what_they_do():
    one, other = render_job(np.full(7, 0.5)), render_job(np.full(7, 0.6))
    again = pickle.loads(pickle.dumps(one))
    assert one.key() == again.key() != other.key()
    label, values = one.describe()
    assert label == "PeakFilter > Compressor"
    assert values["PeakFilter: Gain"] == pytest.approx(0.0)
    assert one.cost_s() == pytest.approx(SPEC.cost_s(0.25))


def test_a_chain_stays_loaded_until_others_push_it_out():
    worker = Worker()
    first = worker.chain(SPEC)
    assert worker.chain(pickle.loads(pickle.dumps(SPEC))) is first
    worker.forget(SPEC)
    assert worker.chain(SPEC) is not first


def test_broken_input_is_refused_and_not_blamed_on_the_plugin():
    bad = AUDIO.copy()
    bad[0, 3] = np.nan
    with Farm(n_jobs=1) as farm:
        (result,) = farm.run([render_job(np.full(7, 0.5), bad)])
        assert "repair the recording" in result.failure.message
        assert not farm.quarantined


def test_hosts_word_output_that_is_not_sound_as_the_farm_expects():
    from blackbox_afx.errors import PluginError

    for audio in (np.full((1, 4), np.nan, np.float32), np.full((1, 4), 1e30, np.float32)):
        with pytest.raises(PluginError, match=NOT_SOUND.pattern):
            check_output(audio, SPEC.profiles[0], np.full(3, 0.5))


@pytest.mark.parametrize("workers", [1, 2])
def test_renders_on_a_farm_equal_renders_here(workers):
    rng = np.random.default_rng(2)
    jobs = [render_job(rng.random(7)) for _ in range(12)]
    jobs.append(
        ProbeJob(
            spec=SPEC, audio=AUDIO, base=np.full(7, 0.5), points=rng.random((3, 7)), cotangent=AUDIO, sample_rate=RATE
        )
    )
    with Farm(n_jobs=workers) as farm:
        results = farm.run(jobs)
    for job, result in zip(jobs, results, strict=True):
        np.testing.assert_array_equal(result.value, job.run(Worker()))


@pytest.mark.zam
def test_a_real_plugin_that_gives_nan_is_named_and_the_rest_is_kept():
    # At 24 kHz ZamEQ2's high shelf gives NaN where its corner lies above half the sample rate.
    spec = ChainSpec(profiles=(zam("ZamEQ2", 1), zam("ZamComp", 1)))
    rng = np.random.default_rng(3)
    points = 0.3 + 0.3 * rng.random((12, len(spec.space)))
    points[7, spec.space.index("ZamEQ2: Frequency H")] = 0.95
    audio = AUDIO[:1]
    jobs = [render_job(point, audio, spec) for point in points]
    cotangent = rng.standard_normal(audio.shape)
    jobs.append(ProbeJob(spec=spec, audio=audio, base=points[0], points=points, cotangent=cotangent, sample_rate=RATE))
    with Farm(n_jobs=1) as farm:  # plugins from outside get two processes all the same
        results = farm.run(jobs)
        assert [result.index for result in results if not result.ok] == [7]
        failure = results[7].failure
        assert failure.kind == "nan"
        assert failure.plugin == "ZamEQ2 > ZamComp"
        assert failure.values["ZamEQ2: Frequency H"] == pytest.approx(0.95)
        assert "ZamEQ2 gave NaN" in failure.message
        again = farm.run(jobs[6:8])
        assert again[0].ok
        assert "quarantined" in again[1].failure.message
    assert np.flatnonzero(np.isnan(results[12].value)).tolist() == [7]
    with spec.open() as chain:
        for k in (0, 6, 8, 11):
            here = chain.render(audio, points[k], RATE)
            np.testing.assert_array_equal(results[k].value, here)
            assert results[12].value[k] == pytest.approx(np.vdot(cotangent, here.astype(float)), rel=1e-12)
