"""Claims about late fusion of branches on skeleton sequences; the data are synthetic."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import torch

from benchmarks.claim import Figure, claim, spread
from benchmarks.frame import Run
from hwsearch.supernets.families.skeleton1d import Skeleton1D, Skeleton1DConfig
from hwsearch.supernets.families.skeleton1d.branches import fuse
from hwsearch.supernets.families.skeleton1d.config import BRANCHES
from hwsearch.tasks.sequences import SequenceData, SkeletonTask, synthetic_skeletons
from hwsearch.tasks.sequences.synthetic import CLASSES, GROUPS
from hwsearch.training.finetune import FinetuneConfig, finetune

#: the branch that is made for each group of classes, said before any was trained: speed is the size of differences, limbs are
#: parts, and which arm is first is a matter of the whole body over the whole time
MADE_FOR = {"velocity": "difference", "limb": "body-part", "timing": "two-stream"}

#: blocks, share of the width and taps of every branch
SIZES = (2, 0.5, 7)
FRAMES, EXAMPLES, BATCH, RATE = 40, 800, 64, 0.05

#: networks of the best branch that are trained from other seeds, to tell diversity of branches from that of seeds
COPIES = len(BRANCHES)


def trained(folder: Path, view: str, seed: int, data_seed: int, steps: int) -> dict[str, torch.Tensor]:
    """Train one branch by itself; its logits on validation and test data, kept in a file."""
    path = folder / f"{view}-{seed}-{data_seed}-{steps}.npz"
    try:
        with np.load(path, allow_pickle=False) as kept:
            return {split: torch.from_numpy(kept[split]) for split in ("validation", "test")}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        pass  # not there yet, or half written
    task, net = SkeletonTask(), subnet(view, seed)
    data = synthetic_skeletons("train", EXAMPLES, seed=data_seed)
    finetune(task, net, data, FRAMES, FinetuneConfig(steps=steps, batch=BATCH, lr=RATE, seed=seed))
    found = {s: logits(net, synthetic_skeletons(s, seed=data_seed)) for s in ("validation", "test")}
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{s: x.numpy() for s, x in found.items()})
    return found


def subnet(view: str, seed: int) -> torch.nn.Module:
    """One branch with random weights."""
    i, (blocks, width, kernel) = BRANCHES.index(view), SIZES
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Skeleton1D(Skeleton1DConfig(classes=len(CLASSES), frames=FRAMES, width=32))
    genes = {"branches": view, f"d[{i}]": blocks, f"w[{i}]": width, f"ks[{i}]": kernel}
    return net.subnet(net.space.architecture(genes)).train()


@torch.no_grad()
def logits(net: torch.nn.Module, data: SequenceData) -> torch.Tensor:
    """Logits of all examples."""
    net.eval()
    return torch.cat([net(*x) for x, _ in data.batches(FRAMES, 200)])


def accuracy(found: torch.Tensor, labels: np.ndarray, among: np.ndarray | None = None) -> float:
    """Percentage answered right among some examples; all eight classes may be answered."""
    right = found.argmax(1).numpy() == labels
    return 100 * float(right[among].mean() if among is not None else right.mean())


def one_seed(folder: Path, seed: int, steps: int) -> dict[str, float]:
    """Train all branches and the copies of the best one; every figure of one seed."""
    labels = {s: synthetic_skeletons(s, seed=seed).labels for s in ("validation", "test")}
    test = labels["test"]
    nets = {view: trained(folder, view, 10 * seed, seed, steps) for view in BRANCHES}
    valid = {view: accuracy(x["validation"], labels["validation"]) for view, x in nets.items()}
    best = max(valid, key=valid.__getitem__)
    copies = [nets[best]] + [trained(folder, best, 10 * seed + k, seed, steps) for k in range(1, COPIES)]
    out = {f"alone {view}": accuracy(x["test"], test) for view, x in nets.items()}
    out["best"], out["best is"] = out[f"alone {best}"], BRANCHES.index(best)
    out["mean"] = float(np.mean([out[f"alone {view}"] for view in BRANCHES]))
    for fusion in ("average", "product"):
        out[f"ensemble {fusion}"] = accuracy(fuse([x["test"] for x in nets.values()], fusion), test)
        out[f"copies {fusion}"] = accuracy(fuse([x["test"] for x in copies], fusion), test)
    for group, classes in GROUPS.items():
        among = np.isin(test, [CLASSES.index(name) for name in classes])
        for view, x in nets.items():
            out[f"{group}: {view}"] = accuracy(x["test"], test, among)
    for a, b in combinations(BRANCHES, 2):
        differ = nets[a]["test"].argmax(1) != nets[b]["test"].argmax(1)
        out[f"apart {a} {b}"] = 100 * float(differ.float().mean())
    apart = [(x["test"].argmax(1) != y["test"].argmax(1)).float().mean() for x, y in combinations(copies, 2)]
    out["apart copies"] = 100 * float(np.mean(apart))
    for n in range(2, len(BRANCHES)):
        every = {
            s: accuracy(fuse([nets[v]["validation"] for v in s], "average"), labels["validation"])
            for s in combinations(BRANCHES, n)
        }
        chosen = max(every, key=every.__getitem__)
        out[f"best of {n}"] = accuracy(fuse([nets[v]["test"] for v in chosen], "average"), test)
    return out


@claim("skeleton.gain", "skeleton.over_copies", "skeleton.groups_won", "skeleton.disagreement")
def skeletons(given: Run) -> dict[str, Figure]:
    """Four branches trained each by itself on synthetic skeletons, fused late; the best single one is chosen on validation data."""
    steps, seeds = (60, 2) if given.quick else (250, 5)
    rows = []
    for seed in range(seeds):
        rows.append(one_seed(given.folder / "skeleton", seed, steps))
        alone = ", ".join(f"{view} {rows[-1][f'alone {view}']:.1f}" for view in BRANCHES)
        given.say(f"seed {seed}: {alone}; together {rows[-1]['ensemble average']:.1f} %")
    frame = pd.DataFrame(rows)
    mean = frame.mean()

    def figure(values: pd.Series, aim: str = "", note: str = "", rows: pd.DataFrame | None = None) -> Figure:
        return Figure(*spread(values.tolist()), len(values), aim, note, rows)

    gain = frame["ensemble average"] - frame["best"]
    names = [f"alone {v}" for v in BRANCHES] + ["best of 2", "best of 3", "ensemble average", "ensemble product"]
    names += ["copies average"]
    plain = [
        name.removeprefix("alone ").replace("best of", "best") + (" branches" if "best of" in name else "")
        for name in names
    ]
    told = ", ".join(f"{p} {mean[n]:.1f} ± {frame[n].std():.1f}" for p, n in zip(plain, names, strict=True))
    accuracies = pd.DataFrame({"network": plain, "top-1 in %": [mean[n] for n in names]})
    won, texts = [], []
    for group, made in MADE_FOR.items():
        means = {view: mean[f"{group}: {view}"] for view in BRANCHES}
        won.append(max(means, key=means.__getitem__) == made)
        texts.append(f"{group} ({made}): " + ", ".join(f"{view} {value:.1f}" for view, value in means.items()))
    by_group = pd.DataFrame([{"group": f"{g}: {v}", "top-1 in %": mean[f"{g}: {v}"]} for g in GROUPS for v in BRANCHES])
    pairs = [f"apart {a} {b}" for a, b in combinations(BRANCHES, 2)]
    pair_text = ", ".join(f"{a}/{b} {mean[f'apart {a} {b}']:.1f}" for a, b in combinations(BRANCHES, 2))
    return {
        "skeleton.gain": figure(gain, "> 0", f"synthetic; {told}", accuracies),
        "skeleton.over_copies": figure(
            frame["ensemble average"] - frame["copies average"], note=f"over {COPIES} networks of the best branch"
        ),
        "skeleton.groups_won": Figure(float(sum(won)), n=len(frame), note="; ".join(texts), rows=by_group),
        "skeleton.disagreement": figure(
            frame[pairs].mean(axis=1), note=f"{pair_text}; copies of the best {mean['apart copies']:.1f}"
        ),
    }
