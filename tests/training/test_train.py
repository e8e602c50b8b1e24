"""Training resumes exactly, stops cleanly and learns."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import torch

from tests.support.made_pools import noisy_pool
from training.export import WEIGHTS
from training.pool import Pool
from training.run import Run
from training.schedule import Schedule, read_crops
from training.train import train


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    """Six noisy fields whose grey tells their distance."""
    return noisy_pool(tmp_path / "pool")


def weights(run: Run) -> list[torch.Tensor]:
    """All of the network and its average."""
    return [*run.net.state_dict().values(), *run.average.state_dict().values()]


def test_a_resumed_run_ends_with_the_same_weights(pool: Pool, tmp_path: Path) -> None:
    schedule = Schedule("dpn", seed=3, steps=8, batch=4)
    whole, first = Run(schedule), Run(schedule)
    for _ in range(8):
        whole.advance(pool)
    for _ in range(4):
        first.advance(pool)
    first.save(tmp_path / "checkpoint.pt")
    second = Run.load(tmp_path / "checkpoint.pt")
    assert (second.step, second.samples) == (4, 16)
    for _ in range(4):
        second.advance(pool)
    for a, b in zip(weights(whole), weights(second), strict=True):
        assert torch.equal(a, b)


def test_sigterm_finishes_the_step_and_saves(pool: Pool, tmp_path: Path) -> None:
    run = Run(Schedule("dpn", steps=1000, batch=2))
    before = signal.getsignal(signal.SIGTERM)
    advance = run.advance

    def stop_at_third(source: Pool) -> float:
        if run.step == 2:
            signal.raise_signal(signal.SIGTERM)
        return advance(source)

    run.advance = stop_at_third  # type: ignore[method-assign]
    assert not train(run, pool, tmp_path)
    assert Run.load(tmp_path / "checkpoint.pt").step == 3
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_run_ends_with_its_plan_and_logs_what_is_left(
    pool: Pool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("training.train.LOG_EVERY", 10)
    run = Run(Schedule("dpn", steps=20, batch=2))
    assert train(run, pool, tmp_path)
    lines = [json.loads(x) for x in (tmp_path / "log.jsonl").read_text("utf-8").splitlines()]
    assert [x["step"] for x in lines] == [10, 20]
    assert lines[-1]["left_s"] == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("step 20: 100% done, 0 core min left")


def test_a_run_may_begin_with_anothers_average(pool: Pool, tmp_path: Path) -> None:
    first = Run(Schedule("dpn", steps=3, batch=2))
    assert train(first, pool, tmp_path)
    second = Run(Schedule("dpn", seed=1, steps=2, batch=2))
    second.begin_from(tmp_path / "checkpoint.pt")
    assert (second.step, second.samples) == (0, 6)
    for a, b in zip(first.average.parameters(), second.net.parameters(), strict=True):
        assert torch.equal(a, b)
    first.save_weights(tmp_path / "weights" / "dpn.pt")
    third = Run(Schedule("dpn", seed=2, steps=2, batch=2))
    third.begin_from(tmp_path / "weights" / "dpn.pt")
    assert third.samples == 6
    for a, b in zip(weights(second), weights(third), strict=True):
        assert torch.equal(a, b)


def test_weights_without_the_newer_heads_begin_a_run_and_others_do_not(tmp_path: Path) -> None:
    first = Run(Schedule("dpn", steps=3, batch=2))
    state = first.average.state_dict()
    old = {
        k: v for k, v in state.items() if not k.startswith(("optics.", "novelty.", "colour_order."))
    }
    common = {"plan": {"earlier_minutes": 2.0}, "counters": [3, 6, 60.0]}
    torch.save({**common, "average": old}, tmp_path / "old.pt")
    second = Run(Schedule("dpn", seed=1, steps=2, batch=2))
    second.begin_from(tmp_path / "old.pt")
    assert second.schedule.earlier_minutes == 3.0
    assert torch.equal(second.net.head.weight, first.average.head.weight)
    torch.save(
        {**common, "average": Run(Schedule("rin", steps=1)).net.state_dict()}, tmp_path / "x.pt"
    )
    with pytest.raises(SystemExit, match="another network"):
        second.begin_from(tmp_path / "x.pt")


def test_a_checkpoint_from_before_the_order_of_colours_is_gone_on_with(tmp_path: Path) -> None:
    first = Run(Schedule("dpn", steps=3, batch=2))
    first.save(tmp_path / "old.pt")
    state = torch.load(tmp_path / "old.pt", weights_only=True)
    for net in ("net", "average"):
        state[net] = {k: v for k, v in state[net].items() if not k.startswith("colour_order.")}
    torch.save(state, tmp_path / "old.pt")
    again = Run.load(tmp_path / "old.pt")
    assert torch.equal(again.net.head.weight, first.net.head.weight)
    del state["net"]["head.weight"]
    torch.save(state, tmp_path / "old.pt")
    with pytest.raises(SystemExit, match=r"old\.pt: weights of another network \(head"):
        Run.load(tmp_path / "old.pt")


def test_another_variant_keeps_all_but_the_head(tmp_path: Path) -> None:
    bins = Run(Schedule("dpn", steps=3, batch=2))
    bins.save_weights(tmp_path / "bins.pt")
    paper = Run(Schedule("dpn", seed=1, steps=2, batch=2, variant="regression"))
    paper.begin_from(tmp_path / "bins.pt")
    assert paper.net.head.weight.shape == (1, 128)
    theirs = bins.average.features.state_dict()
    for name, value in paper.net.features.state_dict().items():
        assert torch.equal(value, theirs[name])


def test_the_rate_warms_up_and_falls_to_zero() -> None:
    schedule = Schedule("dpn", minutes=10.0)
    rates = [schedule.rate(s) for s in (0.0, 0.01, 0.02, 0.5, 1.0)]
    assert rates[0] < 0.01
    assert rates[1] == pytest.approx(0.5, abs=0.02)
    assert rates[2] == pytest.approx(1.0)
    assert 0.4 < rates[3] < 0.6
    assert rates[4] == pytest.approx(0.0, abs=1e-9)


def test_crops_are_read_and_nonsense_is_refused() -> None:
    assert read_crops("0.5:128,1:224") == ((0.5, 128), (1.0, 224))
    for wrong in ("128", "1:128,0.5:224", "1:100", "1:1024", "a:b"):
        with pytest.raises(SystemExit, match="--crops"):
            read_crops(wrong)


def test_the_kept_weights_may_be_gone_on_from() -> None:
    run = Run(Schedule("dpn"))
    run.begin_from(WEIGHTS / "dpn.pt")
    assert run.samples > 4_000_000
    assert run.schedule.earlier_minutes > 200
