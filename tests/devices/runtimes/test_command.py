from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import onnx
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwsearch.devices import Device, Model, Workload, create_runtime
from hwsearch.devices.runtimes.command_answer import same_provider
from hwsearch.errors import DeviceError, MeasurementError, ProviderError
from hwsearch.tasks.inputs import Input, image

ROOT = Path(__file__).parents[3]
ONNXRUNTIME = f"{sys.executable} {ROOT / 'examples' / 'command_onnxruntime.py'}"
ADB = f"{sys.executable} {ROOT / 'examples' / 'command_adb.py'}"
SHAPE = (3, 8, 8)


def relu(op="Relu", **attributes) -> bytes:
    graph = helper.make_graph(
        [helper.make_node(op, ["image"], ["logits"], **attributes)],
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", *SHAPE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", *SHAPE])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


@pytest.fixture
def script(tmp_path):
    """A runtime whose command is the given lines of Python; `answer` in them prints JSON, `runs` is what was asked."""

    def make(body: str, *, tail: str = "", provider: str = "cpu", **options):
        file = tmp_path / "board.py"
        head = "import json, sys, time\nruns = int(sys.argv[2])\nanswer = lambda **k: print(json.dumps(k))\n"
        file.write_text(head + body)
        command = f"{sys.executable} {file} {{model}} {{runs}} {tail}"
        return create_runtime(Device("board", "command", provider, options={"command": command, **options}))

    return make


def work(*parts: tuple[bytes, int]) -> Workload:
    return Workload(tuple(Model(image(SHAPE), model, runs=runs) for model, runs in parts or ((b"model", 1),)))


def test_a_board_that_answers(script):
    session = script("answer(latency_ms=[0.5 + i for i in range(runs)], provider='CPUExecutionProvider')").load(work())
    assert session.time(3) == [0.5, 1.5, 2.5]
    session.close()


def test_several_models_are_a_call_each_and_summed(script):
    body = (
        "size = len(open(sys.argv[1], 'rb').read())\nanswer(latency_ms=[size + i for i in range(runs)], provider='cpu')"
    )
    session = script(body).load(work((b"x" * 10, 1), (b"x" * 100, 2)))
    # 10 + i of the first, and (100 + 2i) + (100 + 2i + 1) of the second
    assert session.time(3) == [211.0, 216.0, 221.0]


def test_what_the_command_is_told(script, tmp_path):
    told = tmp_path / "told.json"
    body = f"json.dump([sys.argv[1:], json.load(open(sys.argv[3]))], open({str(told)!r}, 'w'))\nanswer(latency_ms=[1.0]*runs, provider='qnn')"
    runtime = script(
        body, tail="{inputs} --p={provider} '{batch} {threads} {precision}' '$HOME;ls'", provider="QNNExecutionProvider"
    )
    inputs = (Input("tokens", (7,), high=50, low=3, axes=("length",)), Input("scale", (2,), batch_axis=None))
    runtime.load(Workload((Model(inputs, b"abc"),))).close()
    words, described = json.loads(told.read_text())
    assert words[1] == "1" and words[3:] == ["--p=QNNExecutionProvider", "1 1 fp32", "$HOME;ls"]  # no shell
    assert described == [
        {
            "name": "tokens",
            "shape": [1, 7],
            "dtype": "int64",
            "low": 3,
            "high": 50,
            "axes": {"0": "batch", "1": "length"},
        },
        {"name": "scale", "shape": [2], "dtype": "float32", "low": 0, "high": 0, "axes": {}},
    ]
    assert not Path(words[0]).exists()  # files are gone with the session


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("print('done')", "printed 'done'"),
        ("pass", "printed nothing"),
        ("print([1, 2])", "JSON object"),
        ("answer(latency_ms=[1.0] * (runs + 1), provider='cpu')", "2 latencies for 1 runs"),
        ("answer(latency_ms=[float('nan')] * runs, provider='cpu')", "latency of nan"),
        ("answer(latency_ms=[float('inf')] * runs, provider='cpu')", "latency of inf"),
        ("answer(latency_ms=[-1.0] * runs, provider='cpu')", "latency of -1.0"),
        ("answer(latency_ms=[0] * runs, provider='cpu')", "latency of 0"),
        ("answer(latency_ms=['3'] * runs, provider='cpu')", "latency of '3'"),
        ("answer(latency_ms=[True] * runs, provider='cpu')", "latency of True"),
        ("answer(latency_ms=3.0, provider='cpu')", "not a list"),
        ("answer(latency_ms=[1.0] * runs)", '"provider" is None'),
        ("answer(latency_ms=[1.0] * runs, provider='cpu', energy_mj='much')", "energy_mj = 'much'"),
        ("answer(latency_ms=[1.0] * runs, provider='cpu', peak_memory_mib=-1)", "peak_memory_mib = -1"),
        ("answer(failure='output x holds NaN.')", "output x holds NaN"),
        ("print('{\"latency_ms\": [1' + '0' * 400 + '], \"provider\": \"cpu\"}')", "a latency of 1000"),
        ("answer(latency_ms=[1.0] * runs, provider='cpu', energy_mj=10**400)", "energy_mj = 1000"),
        ("answer(latency_ms=[1.0] * runs, provider='cpu', peak_memory_mib=10**400)", "peak_memory_mib = 1000"),
        ("print('[' * 100000 + ']' * 100000)", "where a JSON object belongs"),
        ("print('{\"facts\": ' + '[' * 500 + ']' * 500 + '}')", "where a JSON object belongs"),
        ("print('{\"latency_ms\": [' + '1' * 5000 + ']}')", "where a JSON object belongs"),
    ],
)
def test_bad_answers_are_failed_measurements(script, body, text):
    with pytest.raises(MeasurementError, match="'board'") as caught:
        script(body).load(work())
    assert text in str(caught.value)


def test_another_provider_is_a_fallback(script):
    runtime = script("answer(latency_ms=[1.0] * runs, provider='cpu')", provider="nnapi")
    with pytest.raises(ProviderError, match="'nnapi', but 'cpu' ran"):
        runtime.load(work())
    body = "answer(latency_ms=[1.0] * runs, provider='cpu', nodes={'cpu': 5, 'AcmeExecutionProvider': 2})"
    with pytest.raises(ProviderError, match="2 of 7 nodes ran on AcmeExecutionProvider"):
        script(body).verify(work())
    assert script(body.replace("2}", "0}")).load(work()).time(1) == [1.0]
    with pytest.raises(MeasurementError, match='"nodes"'):
        script(body.replace("2}", "0}")).verify(work())


def test_providers_are_compared_by_their_short_names():
    assert same_provider("CPUExecutionProvider", "cpu") and same_provider("QNN", "QNNExecutionProvider")
    assert not same_provider("cuda", "cpu")


def test_a_failing_command_shows_its_status_and_last_words(script):
    body = "print('\\n'.join(f'line {i}' for i in range(9)), file=sys.stderr)\nsys.exit(7)"
    with pytest.raises(DeviceError, match="exit status 7") as caught:
        script(body).load(work())
    assert "board.py" in str(caught.value) and "line 8" in str(caught.value) and "line 4" not in str(caught.value)
    with pytest.raises(DeviceError, match="signal 9"):
        script("import os\nos.kill(os.getpid(), 9)").load(work())


def test_a_device_that_disappears_fails_the_measurement(script, tmp_path):
    gone = tmp_path / "gone"
    body = f"import os\nif os.path.exists({str(gone)!r}): sys.exit('error: no devices found')\n"
    session = script(body + "answer(latency_ms=[1.0] * runs, provider='cpu')").load(work())
    assert session.time(2) == [1.0, 1.0]
    gone.touch()
    with pytest.raises(MeasurementError, match="no devices found"):
        session.time(2)


def test_a_device_that_becomes_another_fails_the_measurement(script, tmp_path):
    serial = tmp_path / "serial"
    serial.write_text("one")
    body = f"answer(latency_ms=[1.0] * runs, provider='cpu', facts={{'serial': open({str(serial)!r}).read()}})"
    session = script(body).load(work())
    session.time(1)
    serial.write_text("two")
    with pytest.raises(MeasurementError, match="serial was 'one' and is 'two'"):
        session.time(1)


def test_a_hung_command_is_killed_with_all_it_started(script, tmp_path):
    pids = tmp_path / "pids"
    body = (
        "import os, subprocess\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "time.sleep(600)"
    )
    with pytest.raises(MeasurementError, match="did not end within 5 s and was killed"):
        script(body, timeout_s=5).load(work())
    for pid in map(int, pids.read_text().split()):
        for _ in range(100):
            if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                break
            time.sleep(0.05)
        else:
            pytest.fail(f"process {pid} is still there")


def test_a_process_left_behind_does_not_keep_the_answer_waiting(script):
    body = (
        "import subprocess\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(30)'])\n"
        "answer(latency_ms=[1.0] * runs, provider='cpu', facts={})\n"
    )
    script(body, timeout_s=25).load(work()).close()  # waiting for its pipe to close would end in a timeout, an error


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"command": ""}, "has no command"),
        ({"command": "nowhere-to-be-found {model} {runs}"}, "no executable 'nowhere-to-be-found'"),
        ({"command": "echo {runs}"}, "has no {model}"),
        ({"command": "echo {model}"}, "has no {runs}"),
        ({"command": "echo {model} {runs} {thread}"}, "Did you mean 'threads'"),
        ({"command": "echo '{model} {runs}"}, "cannot be split"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": True}, "timeout_s"),
        ({"timeout": 3}, "Did you mean 'timeout_s'"),
        ({"command": 3}, "not a text"),
        ({"facts_command": "echo {model}"}, "stands for nothing"),
    ],
)
def test_settings_that_cannot_be_met(change, text):
    options = {"command": "echo {model} {runs}", **change}
    with pytest.raises(DeviceError, match="board") as caught:
        create_runtime(Device("board", "command", options=options))
    assert text in str(caught.value)


@pytest.mark.parametrize("change", [{"threads": 2}, {"batch": 8}, {"precision": "int8"}])
def test_a_setting_the_command_would_not_hear_of(change):
    ((name, value),) = change.items()
    with pytest.raises(DeviceError, match=f"has no {{{name}}}"):
        create_runtime(Device("b", "command", options={"command": "echo {model} {runs}"}, **change))
    command = f"echo {{model}} {{runs}} {{{name}}}"
    assert create_runtime(Device("b", "command", options={"command": command}, **change)).facts()[name] == value


def test_facts_come_from_the_facts_command(tmp_path):
    board = tmp_path / "facts.json"
    options = {"command": "echo {model} {runs}", "facts_command": f"cat {board}"}
    board.write_text('{"soc": "acme-1"}\n')
    assert create_runtime(Device("b", "command", options=options)).facts()["device"] == {"soc": "acme-1"}
    board.write_text("soc acme-1")
    with pytest.raises(DeviceError, match="printed 'soc acme-1'"):
        create_runtime(Device("b", "command", options=options)).facts()
    for nested in ("[" * 100_000 + "]" * 100_000, '{"a": ' + "[" * 500 + "]" * 500 + "}"):
        board.write_text(nested)
        with pytest.raises(DeviceError, match="where a JSON object belongs"):
            create_runtime(Device("b", "command", options=options)).facts()


def test_footprint_is_what_the_command_tells(script):
    body = (
        "answer(latency_ms=[1.0] * runs, provider='cpu', peak_memory_mib=len(open(sys.argv[1]).read()), energy_mj=2.5)"
    )
    found = script(body).footprint(work((b"x" * 10, 1), (b"x" * 100, 3)))
    assert found == {"model_size_mib": 110 / 2**20, "peak_memory_mib": 100.0, "energy_mj": 10.0}
    plain = script("answer(latency_ms=[1.0] * runs, provider='cpu')").footprint(work())
    assert set(plain) == {"model_size_mib"}


# ---------------------------------------------------------------------- the examples
def onnxruntime_device(**change) -> Device:
    command = f"{ONNXRUNTIME} {{model}} --runs {{runs}} --inputs {{inputs}} --threads {{threads}}"
    return Device("other", "command", options={"command": command, "facts_command": f"{ONNXRUNTIME} --facts"}, **change)


def test_the_onnxruntime_example():
    runtime = create_runtime(onnxruntime_device())
    assert set(runtime.facts()["device"]) == {"onnxruntime", "machine", "system"}
    session = runtime.load(work((relu(), 1)))
    times = session.time(4)
    assert len(times) == 4 and min(times) > 0
    session.close()
    with pytest.raises(DeviceError, match="refuses the model"):
        runtime.load(work((b"no model", 1)))


def test_the_adb_example_against_a_phone_that_is_a_folder(tmp_path, monkeypatch):
    """`adb shell` gives one line to a shell; the program on the phone checks its files and counts what it is asked."""
    phone, calls = tmp_path / "phone", tmp_path / "calls"
    phone.mkdir()
    tools = tmp_path / "bin"
    tools.mkdir()
    scripts = {
        tools
        / "adb": f'#!/bin/sh\necho "$@" >> {calls}\n[ -e {tmp_path}/unplugged ] && {{ echo "error: no devices/emulators found" >&2; exit 1; }}\n'
        '[ "$1" = -s ] && shift 2\ncase "$1" in shell) exec sh -c "$2" ;; push) exec cp "$2" "$3" ;; *) exit 9 ;; esac\n',
        tools / "getprop": '#!/bin/sh\necho "value of $1"\n',
        phone / "onnxruntime_perf_test": f"#!{sys.executable}\n"
        "import os, sys, pathlib\n"
        "a = sys.argv[1:]\n"
        "assert a[:2] == ['-m', 'times'] and os.environ['LD_LIBRARY_PATH'] == '.', a\n"
        "model = pathlib.Path(a[-2])\n"
        "assert (model.parent / 'test_data_set_0' / 'input_0.pb').stat().st_size > 0\n"
        "print('Session creation time cost:0.1 s')\n"
        "n = int(a[a.index('-r') + 1])\n"
        "print(*(f'iteration:{i + 1},time_cost:{0.001 * (i + 1):g}' for i in range(n)), sep='\\n')\n"
        "print('Total inference time cost:1.5 s')\n",
    }
    for file, text in scripts.items():
        file.write_text(text)
        file.chmod(0o755)
    (phone / "libonnxruntime.so").write_bytes(b"lib")
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    tail = f"--folder {phone} --serial emulator-5554"
    options = {
        "command": f"{ADB} {{model}} --runs {{runs}} --inputs {{inputs}} --threads {{threads}} --provider {{provider}} {tail}",
        "facts_command": f"{ADB} --facts {tail}",
    }
    runtime = create_runtime(Device("phone", "command", "xnnpack", threads=4, options=options))
    facts = runtime.facts()["device"]
    assert facts["ro.soc.model"] == "value of ro.soc.model" and len(facts["sha256 of libonnxruntime.so"]) == 12
    workload = Workload((Model((Input("tokens", (5,), high=9, low=2),), relu()),))
    session = runtime.load(workload)
    assert session.time(3) == pytest.approx([1.0, 2.0, 3.0])
    lines = calls.read_text().splitlines()
    assert all(line.startswith("-s emulator-5554 ") for line in lines)
    assert sum(" push " in line for line in lines) == 2  # model and input, once
    timed = [line for line in lines if "./onnxruntime_perf_test" in line][-1]
    assert "-r 3 -e xnnpack -x 4" in timed and "session.disable_cpu_ep_fallback|1" in timed
    (pushed,) = phone.glob("models/*/test_data_set_0/input_0.pb")
    tensor = onnx.TensorProto.FromString(pushed.read_bytes())
    value = numpy_helper.to_array(tensor)
    assert tensor.name == "tokens" and value.shape == (1, 5) and value.min() >= 2 and value.max() < 9
    (tmp_path / "unplugged").touch()
    with pytest.raises(MeasurementError, match="no devices/emulators found"):
        session.time(3)
