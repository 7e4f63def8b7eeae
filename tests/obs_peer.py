"""OBS's scenes follow a run: the card, who is shown, a scene that is not there, a wrong password, OBS gone and back."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import obsws_python

ROOT = Path(__file__).resolve().parent.parent
EFFIGY = os.path.abspath(sys.argv[1])
PORT, PASSWORD, TOKEN = 4461, "sixteen-letters-1", "obs-test-0123456789"
SCENES = ["Start", "Talk", "Pause", "Guest"]


def settings(home):
    """Writes what OBS remembers: its server, a profile of a small picture, four empty scenes."""
    folder = Path(home) / ".config/obs-studio"
    (folder / "basic/scenes").mkdir(parents=True)
    (folder / "basic/profiles/Test").mkdir(parents=True)
    (folder / "global.ini").write_text(
        "[General]\nFirstRun=true\nEnableAutoUpdates=false\n"
        "[Basic]\nProfile=Test\nProfileDir=Test\nSceneCollection=Test\nSceneCollectionFile=Test\n"
        f"[OBSWebSocket]\nFirstLoad=false\nServerEnabled=true\nServerPort={PORT}\nAuthRequired=true\n"
        f"ServerPassword={PASSWORD}\nAlertsEnabled=false\n"
    )
    (folder / "basic/profiles/Test/basic.ini").write_text(
        "[General]\nName=Test\n[Video]\nBaseCX=320\nBaseCY=180\nOutputCX=320\nOutputCY=180\nFPSCommon=10\n"
    )
    scene = {"id": "scene", "versioned_id": "scene"}
    sources = [scene | {"name": name, "settings": {"id_counter": 0, "items": []}} for name in SCENES]
    collection = {
        "name": "Test", "current_scene": "Start", "current_program_scene": "Start", "sources": sources,
        "scene_order": [{"name": name} for name in SCENES], "groups": [], "transitions": [], "modules": {},
    }
    (folder / "basic/scenes/Test.json").write_text(json.dumps(collection))


class Obs:
    """OBS in a display of its own."""

    def __init__(self, home):
        environment = os.environ | {"HOME": home, "XDG_RUNTIME_DIR": home, "LIBGL_ALWAYS_SOFTWARE": "1", "QT_QPA_PLATFORM": "xcb"}
        environment.pop("XDG_CONFIG_HOME", None)
        line = ["xvfb-run", "-a", "obs", "--multi", "--collection", "Test", "--profile", "Test", "--websocket_ipv4_only"]
        log = open(Path(home) / "obs.log", "ab")
        self.process = subprocess.Popen(line, env=environment, stdout=log, stderr=log, start_new_session=True)
        until("OBS answers", self.connect, 60)
        self.version = self.client.get_version().obs_version

    def connect(self):
        try:
            self.client = obsws_python.ReqClient(host="127.0.0.1", port=PORT, password=PASSWORD, timeout=3)
            return True
        except (OSError, obsws_python.error.OBSSDKError):
            return False

    def scene(self):
        return self.client.get_current_program_scene().current_program_scene_name

    def end(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def until(what, holds, patience_secs=20):
    """Waits until something holds; gives the seconds that it took."""
    begin = time.monotonic()
    while not holds():
        if time.monotonic() - begin > patience_secs:
            sys.exit(f"not within {patience_secs} s: {what}")
        time.sleep(0.02)
    return time.monotonic() - begin


def step(text):
    print(f"{time.monotonic() - BEGAN:6.1f} s  {text}", flush=True)


def main():
    home = tempfile.mkdtemp(prefix="effigy-obs-")
    settings(home)
    environment = os.environ | {"EFFIGY_OBS_PASSWORD": PASSWORD, "EFFIGY_HTTP_TOKEN": TOKEN}
    for name in ["ada", "ben"]:
        photo = ROOT / "models/demo" / f"portrait_{name[0]}.png"
        subprocess.run([EFFIGY, "enroll", photo, "-o", f"{home}/{name}.effigy", "--consent", "synthetic"], check=True, capture_output=True)
    run = [
        EFFIGY, "run", "--no-settings", "--identity", f"{home}/ada.effigy,{home}/ben.effigy", "--backend", "warp",
        "--source", ROOT / "models/demo/driver.mp4", "--loop", "--sink", "http", "--obs", str(PORT),
        "--obs-scene", "card=Pause", "--obs-scene", "live=Talk", "--obs-scene", "2=Guest",
    ]
    said = []

    def start(line, **more):
        process = subprocess.Popen(line, env=environment | more, stderr=subprocess.PIPE, text=True)
        threading.Thread(target=lambda: said.extend(process.stderr), daemon=True).start()
        return process

    def has_said(text):
        return lambda: any(text in line for line in said)

    # Without OBS the run goes on, and says what to do.
    effigy = start(run)
    until("it says that OBS is not there", has_said("nobody answers at 127.0.0.1:4461; start OBS and tick"), 60)
    until("the page's address", has_said("control page: "))
    page = re.search(r"http://[\d.:]+", next(line for line in said if "control page: " in line)).group()
    step("without OBS the run goes on and says what to do")

    def command(**what):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        request = urllib.request.Request(page + "/command", json.dumps(what).encode(), headers)
        urllib.request.urlopen(request, timeout=5).read()

    obs = Obs(home)
    until("it finds OBS", has_said("OBS: connected"), 30)
    until("the scene of a portrait", lambda: obs.scene() == "Talk")
    step(f"OBS {obs.version} is found when it comes, and shows the scene of a portrait")
    times = []
    for what, scene in [
        ({"do": "card", "on": True}, "Pause"), ({"do": "card", "on": False}, "Talk"),
        ({"do": "identity", "index": 1}, "Guest"), ({"do": "card", "on": True}, "Pause"),
        ({"do": "card", "on": False}, "Guest"), ({"do": "identity", "index": 0}, "Talk"),
    ]:
        command(**what)
        times.append(until(f"{what} shows {scene}", lambda: obs.scene() == scene))
    step(f"the card and who is shown switch the scene, within {max(times) * 1000:.0f} ms")

    obs.client.set_current_program_scene("Start")
    time.sleep(1)
    assert obs.scene() == "Start", "what somebody chooses in OBS does not stay"
    command(do="card", on=True)
    until("the card again", lambda: obs.scene() == "Pause")
    step("a scene that is chosen in OBS stays until the moment changes")

    obs.end()
    until("it says that OBS has gone", has_said("OBS has gone"))
    obs = Obs(home)
    until("connected again", lambda: sum("OBS: connected" in line for line in said) == 2, 40)
    until("the scene is set again", lambda: obs.scene() == "Pause")
    step("OBS killed and started again is found, and shows what belongs to the moment")
    effigy.send_signal(signal.SIGINT)
    assert effigy.wait(20) == 130, effigy.returncode

    said.clear()
    effigy = start([*run, "--obs-scene", "1=Nowhere"])
    until("a scene that is not there is named", has_said('it does not show the scene "Nowhere"'), 60)
    effigy.send_signal(signal.SIGINT)
    assert effigy.wait(20) == 130
    said.clear()
    effigy = start(run, EFFIGY_OBS_PASSWORD="another-one")
    until("a wrong password is told", has_said("it refuses the password; set EFFIGY_OBS_PASSWORD"), 60)
    effigy.send_signal(signal.SIGINT)
    assert effigy.wait(20) == 130
    step("a scene that is not there and a wrong password are told")
    obs.end()
    shutil.rmtree(home)
    print("obs: all steps passed")


BEGAN = time.monotonic()
main()
