"""Two examples of each command, for its help."""

from __future__ import annotations

#: by command; the lines are parsed by a test
EXAMPLES: dict[str, tuple[str, str]] = {
    "run": ("hwsearch run my.toml", "hwsearch run phone.toml --reuse runs/my --latencies 30 --evaluations 24 --json"),
    "demo": ("hwsearch demo", "hwsearch demo --folder runs/first-look"),
    "init": ("hwsearch init my.toml", "hwsearch init my.toml --device edge-box --threads 4 --limit '<= 12 ms'"),
    "check": ("hwsearch check my.toml", "hwsearch check my.toml --seconds 120"),
    "profile": ("hwsearch profile my.toml", "hwsearch profile runs/my --json"),
    "operators": ("hwsearch operators my.toml", "hwsearch operators runs/my --device edge-box"),
    "evaluate": ("hwsearch evaluate my.toml", "hwsearch evaluate runs/my --json"),
    "fit": ("hwsearch fit my.toml", "hwsearch fit runs/my --json"),
    "search": ("hwsearch search my.toml", "hwsearch search runs/my --json"),
    "validate": ("hwsearch validate my.toml", "hwsearch validate runs/my --json"),
    "front": ("hwsearch front runs/my --device edge-box", "hwsearch front runs/my --deployment worst-case --json"),
    "plan": (
        "hwsearch plan runs/my --device phone --samples 10",
        "hwsearch plan runs/my --device phone --samples 10 --measure --json",
    ),
    "predict": (
        "hwsearch predict runs/my --random 1000 --json",
        "hwsearch predict runs/my --arch smallest --arch largest --device edge-box",
    ),
    "pick": (
        "hwsearch pick runs/my --limit 'latency_ms<=2' --export model.onnx",
        "hwsearch pick runs/my --device edge-box --chain 4 --limit 'accuracy>=80' --probability 0.95 --export switch",
    ),
    "ensemble": (
        "hwsearch ensemble runs/my --limit 'latency_ms<=2' --device edge-box",
        "hwsearch ensemble runs/my --limit 'latency_ms<=60 %' --parallel --json",
    ),
    "export": (
        "hwsearch export runs/my --device edge-box",
        "hwsearch export runs/my --arch largest --batch 1 --output largest.onnx",
    ),
    "finetune": (
        "hwsearch finetune runs/my --arch largest --steps 500",
        "hwsearch finetune runs/my --arch smallest --data images/train --lr 0.005",
    ),
    "report": ("hwsearch report runs/my", "hwsearch report runs/my --optuna sqlite:///optuna.db"),
    "doctor": ("hwsearch doctor", "hwsearch doctor --seconds 120 --record host.csv"),
    "supernets": ("hwsearch supernets show cifar10-mbv3", "hwsearch supernets check weights.pth --supernet my_net.py:ENTRY"),
    "devices": ("hwsearch devices", "hwsearch devices my.toml"),
    "tables": ("hwsearch tables show v100-b64", "hwsearch tables export runs/my --device edge-box"),
    "train": (
        "hwsearch train --recipe cifar10-mbv3 --data cifar10.parquet --folder trained",
        "hwsearch train --recipe my.toml --supernet my_net.py:ENTRY --data images --folder trained",
    ),
    "prune": (
        "hwsearch prune --supernet resnet18 --data images --folder pruned --limit 'macs<=50 %'",
        "hwsearch prune --supernet my_net.py:ENTRY --data images --folder pruned --limit 'latency_ms<=2' --campaign runs/my --device edge-box",
    ),
    "add_task": (
        "hwsearch add-task --supernet resnet18 --data birds --folder many --task birds",
        "hwsearch add-task --supernet my_net.py:ENTRY --data images --folder many --task second --density 0.05 --epochs 40",
    ),
    "export_task": (
        "hwsearch export-task --supernet resnet18 --folder many --task birds",
        "hwsearch export-task --supernet my_net.py:ENTRY --folder many --task second --output second.onnx --json",
    ),
    "assess_supernet": (
        "hwsearch assess-supernet --campaign runs/demo",
        "hwsearch assess-supernet --supernet my_net.py:ENTRY --checkpoint trained/my-net.safetensors --data images --folder worth --standalone 8",
    ),
    "grow": (
        "hwsearch grow --supernet my_net.py:ENTRY --checkpoint trained/my-net.safetensors --into my_net.py:WIDE --output grown.safetensors",
        "hwsearch grow --supernet cifar10-mbv3 --into wide.py:ENTRY --output grown.safetensors --second again.safetensors --method zero",
    ),
    "plan_training": (
        "hwsearch plan-training cifar10-mbv3 --cluster cluster.toml --examples 50000",
        "hwsearch plan-training my.toml --cluster cluster.toml --data images --calibrate 2 --json",
    ),
    "work": ("hwsearch work runs/my --wait", "hwsearch work runs/my --device edge-box"),
    "cluster": (
        "hwsearch cluster certs certificates --host edge-box",
        "hwsearch cluster worker tls://lab:8786 --device edge-box --certificates certificates",
    ),
}  # fmt: skip


def epilog(name: str) -> str | None:
    """Write the end of a command's help.

    Parameters
    ----------
    name : str
        The command.

    Returns
    -------
    str or None
        Its examples; None for a command that has none.
    """
    found = EXAMPLES.get(name)
    return "Examples:\n\n" + "\n\n".join(f"  {line}" for line in found) if found else None
