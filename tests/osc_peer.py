"""python-osc steers a run, sends it motion in the VMC protocol, and reads the motion that it sends on."""

import math
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from pythonosc import osc_bundle_builder, osc_message_builder
from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import ThreadingOSCUDPServer
from pythonosc.udp_client import SimpleUDPClient

ROOT = Path(__file__).resolve().parent.parent
EFFIGY = os.path.abspath(sys.argv[1])
NAMES = ["jawOpen", "mouthSmileLeft", "mouthSmileRight", "eyeBlinkLeft", "eyeBlinkRight", "browInnerUp"]


def wait_for(lines, begin):
    for line in lines:
        if line.startswith(begin):
            return int(re.search(r":(\d+)", line).group(1))
    sys.exit(f"{begin!r} never came")


def main():
    home = tempfile.mkdtemp(prefix="effigy-osc-")
    folders = {"CONFIG": ".config", "STATE": ".local/state", "DATA": ".local/share", "CACHE": ".cache"}
    environment = os.environ | {f"XDG_{name}_HOME": f"{home}/{folder}" for name, folder in folders.items()}
    # What the program runs on is found from the real home.
    runtime = Path.home() / ".local/share/effigy/lib"
    if runtime.is_dir():
        environment.setdefault("EFFIGY_ONNXRUNTIME", str(runtime))
    photo = ROOT / "models/demo/portrait_a.png"
    enroll = ["enroll", str(photo), "-o", "me.effigy", "--consent", "synthetic"]
    subprocess.run([EFFIGY, *enroll], cwd=home, env=environment, check=True, capture_output=True)

    heard, addresses = {}, set()

    def hear(address, *values):
        addresses.add(address)
        if address == "/VMC/Ext/Blend/Val":
            heard[values[0]] = values[1]
        elif address == "/VMC/Ext/Bone/Pos":
            heard["bone " + values[0]] = values[1:]
        elif address == "/VMC/Ext/Tra/Pos":
            heard["tracker " + values[0]] = values[1:]

    dispatcher = Dispatcher()
    dispatcher.set_default_handler(hear)
    server = ThreadingOSCUDPServer(("127.0.0.1", 0), dispatcher)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    out = f"vmc:127.0.0.1:{server.server_address[1]}"
    line = ["run", "--identity", "me.effigy", "--backend", "warp", "--source", "vmc:0", "--osc", "0", "--sink", out,
            "--sink", "null", "--duration", "5"]
    run = subprocess.Popen([EFFIGY, *line], cwd=home, env=environment, stderr=subprocess.PIPE, text=True)
    motion = SimpleUDPClient("127.0.0.1", wait_for(run.stderr, "source: "))
    steer = SimpleUDPClient("127.0.0.1", wait_for(run.stderr, "OSC: "))

    angle = 0.3
    sent = {name: 0.1 + 0.12 * i for i, name in enumerate(NAMES)}
    for frame in range(100):
        bundle = osc_bundle_builder.OscBundleBuilder(osc_bundle_builder.IMMEDIATELY)

        def add(address, *values):
            message = osc_message_builder.OscMessageBuilder(address)
            for value in values:
                message.add_arg(value)
            bundle.add_content(message.build())

        add("/VMC/Ext/OK", 1)
        add("/VMC/Ext/T", frame / 30)
        add("/VMC/Ext/Bone/Pos", "Head", 0.0, 0.0, 0.0, 0.0, math.sin(angle / 2), 0.0, math.cos(angle / 2))
        for name, value in sent.items():
            add("/VMC/Ext/Blend/Val", name, value)
        add("/VMC/Ext/Blend/Apply")
        motion.send(bundle.build())
        if frame == 20:
            steer.send_message("/effigy/strength/head", 1.5)
            steer.send_message("/effigy/mirror", True)
            steer.send_message("/effigy/background", "blur")
            steer.send_message("/effigy/calibrate", [])
        if frame == 60:
            steer.send_message("/effigy/card", 1)
        if frame == 70:
            steer.send_message("/effigy/card", 0)
        time.sleep(1 / 30)

    worst = max(abs(heard[name] - value) for name, value in sent.items())
    assert worst < 0.01, f"motion differs by {worst}"
    turn = heard["bone Head"]
    assert abs(turn[4] - math.sin(angle / 2)) < 0.01, turn
    assert len([name for name in heard if not name.startswith(("bone", "tracker"))]) == 52, sorted(heard)
    assert {"bone LeftEye", "bone RightEye", "tracker Head"} <= set(heard), sorted(heard)
    wanted = {"/VMC/Ext/OK", "/VMC/Ext/T", "/VMC/Ext/Blend/Apply"}
    assert wanted <= addresses, addresses
    assert run.wait(timeout=60) == 0
    kept = Path(home, ".local/state/effigy/last.toml").read_text()
    for expected in ['head = "1.5"', 'mirror = "true"', 'background = "blur"']:
        assert expected in kept, kept
    print(f"python-osc: motion in and out within {worst:.2e}, steering took, 52 names came")


main()
