#!/usr/bin/env python3
"""What more views of one person are worth: the first frame of a clip is the main portrait, further views come from the clip.
usage: views.py EFFIGY OUT.json [--clips DIR] [--only PART] [--views 1,2,4] [--held-out] [--frontal] [--keep DIR]
The clip drives the portrait with --motion absolute and every frame is compared with the clip's own.
--frontal: the main portrait is the frame that looks most nearly into the camera, not the first.
--held-out: views come from the clip's second half alone, its first half drives and is compared.
psnr, mouth, eyes: dB. akd: mean distance of 478 points, % of the eyes' distance. sharp: fine detail of the face over the truth's.
flicker: mean change from frame to frame that the truth does not have, x 1000; jump: the largest. turned: the same figures over frames
whose head looks away from the portrait's by 15 degrees and more. n_views: how many the identity got; changes: how often a view gave way.
Needs numpy, opencv-python-headless, onnxruntime, and the public clips and measuring networks (EFFIGY_SHARED, else ../shared)."""
import argparse, glob, json, os, subprocess, sys, tempfile
import cv2, numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHARED = os.environ.get('EFFIGY_SHARED', os.path.join(ROOT, '..', 'shared'))
sys.path.insert(0, os.path.join(SHARED, 'eval'))
from faces import EYES, LIPS, box, detail, landmarks, read, regions

MESH = np.fromfile(os.path.join(ROOT, 'models/canonical_mesh.bin'), np.float32, 468 * 3).reshape(468, 3)
TURNED_DEGREES = 15


def look(points):
    """Where the head looks, as a direction in its own space: weak perspective over the canonical mesh."""
    flat = points[:468] - points[:468].mean(0)
    fit, *_ = np.linalg.lstsq(MESH - MESH.mean(0), flat * [1, -1], rcond=None)
    right, up = fit.T
    right, up = right / np.linalg.norm(right), up / np.linalg.norm(up)
    out = np.cross(right, up)
    return out / np.linalg.norm(out)


def turn(a, b):
    return np.degrees(np.arccos(np.clip(a @ b, -1, 1)))


def write(path, frames, rate=25):
    """A clip without loss."""
    h, w = frames[0].shape[:2]
    ffmpeg = subprocess.Popen(['ffmpeg', '-v', 'error', '-y', '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', f'{w}x{h}', '-r', str(rate), '-i', '-',
                               '-c:v', 'ffv1', '-pix_fmt', 'bgr0', path], stdin=subprocess.PIPE)
    for frame in frames: ffmpeg.stdin.write(np.ascontiguousarray(frame).tobytes())
    ffmpeg.stdin.close()
    if ffmpeg.wait(): sys.exit('ffmpeg failed')


def play(effigy, n, portrait, source, drive, size, tmp):
    subject = [portrait] if n == 1 else [portrait, source, '--views', str(n)]
    made = subprocess.run([effigy, 'enroll', *subject, '-o', f'{tmp}/id.effigy', '--consent', 'self', '--framing', 'keep', '--json', '--no-rehearsal'],
                          check=True, capture_output=True)
    subprocess.run(['rm', '-rf', f'{tmp}/out'], check=True)
    subprocess.run([effigy, 'run', '--identity', f'{tmp}/id.effigy', '--source', drive, '--sink', f'file:{tmp}/out/', '--size', '512', '--no-badge',
                    '--motion', 'absolute', '--every-frame', '--no-settings'] + os.environ.get('EFFIGY_ARGS', '').split(), check=True, capture_output=True)
    pics = [cv2.cvtColor(cv2.imread(p), cv2.COLOR_BGR2RGB) for p in sorted(glob.glob(f'{tmp}/out/*.png'))]
    scaled = [p if p.shape[0] == size else cv2.resize(p, (size, size), interpolation=cv2.INTER_AREA) for p in pics]
    return scaled, pics, json.loads(made.stdout).get('views', [0])


def measure(pics, frames, truth, first):
    m, turned, before, prev = {}, {}, None, None
    for i in range(1, min(len(pics), len(frames))):
        if truth[i] is None: before = None; continue
        a, b, points = pics[i].astype(np.float32) / 255, frames[i].astype(np.float32) / 255, truth[i][0]
        far = turn(look(points), first) >= TURNED_DEGREES
        def add(key, value):
            m.setdefault(key, []).append(float(value))
            if far: turned.setdefault(key, []).append(float(value))
        psnr = lambda d: -10 * np.log10((d ** 2).mean() + 1e-9)
        add('psnr', psnr(a - b))
        for name, idx in (('mouth', LIPS), ('eyes', EYES)): add(name, psnr((a - b)[box(points, idx, a.shape)]))
        if i % 2 == 0:
            seen = landmarks(pics[i], prev) or landmarks(pics[i])
            if seen: prev = seen[0]; add('akd', np.linalg.norm(seen[0] - points, axis=1).mean() / np.linalg.norm(points[33] - points[263]) * 100)
        if i % 4 == 0:
            da, db = detail(pics[i]), detail(frames[i])
            for name, mask in regions(points, a.shape).items():
                if mask.sum() > 50 and db[mask].mean() > .3: add('sharp_' + name, da[mask].mean() / db[mask].mean())
        if before is not None: add('flicker', 1000 * np.abs((a - before[0]) - (b - before[1])).mean())
        before = (a, b)
    row = {k: round(float(np.mean(v)), 3) for k, v in m.items()}
    row['jump'] = round(max(m.get('flicker', [0])), 2)
    row['turned'] = {k: round(float(np.mean(v)), 3) for k, v in turned.items() if len(v) >= 3}
    row['turned_frames'] = len(turned.get('psnr', []))
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('effigy'); parser.add_argument('out')
    parser.add_argument('--clips', default=os.path.join(SHARED, 'data/test/clips')); parser.add_argument('--only', default='')
    parser.add_argument('--views', default='1,2,4'); parser.add_argument('--held-out', action='store_true'); parser.add_argument('--frontal', action='store_true'); parser.add_argument('--keep')
    args = parser.parse_args()
    rows = {}
    for clip in sorted(glob.glob(f'{args.clips}/*.mp4')):
        name = os.path.basename(clip)[:-4]
        if args.only not in name: continue
        every = read(clip)[:200]
        size = min(every[0].shape[:2]); half = len(every) // 2
        every = [f[(f.shape[0] - size) // 2:][:size, (f.shape[1] - size) // 2:][:, :size] for f in every]
        frames, source = (every[:half], every[half:]) if args.held_out else (every, every)
        truth, prev = [], None
        for f in frames:
            r = landmarks(f, prev) or landmarks(f); truth.append(r); prev = r[0] if r else None
        if truth[0] is None: continue
        with tempfile.TemporaryDirectory() as tmp:
            straight = lambda i: turn(look(truth[i][0]), np.array([0, 0, 1])) if truth[i] else 180
            main = min(range(len(frames)), key=straight) if args.frontal else 0
            cv2.imwrite(f'{tmp}/main.png', cv2.cvtColor(frames[main], cv2.COLOR_RGB2BGR))
            write(f'{tmp}/drive.mkv', frames); write(f'{tmp}/source.mkv', source)
            for n in map(int, args.views.split(',')):
                pics, full, views = play(args.effigy, n, f'{tmp}/main.png', f'{tmp}/source.mkv', f'{tmp}/drive.mkv', size, tmp)
                row = measure(pics, frames, truth, look(truth[main][0])) | {'n_views': len(views)}
                rows.setdefault(str(n), {})[name] = row
                print(n, name, json.dumps(row), flush=True)
                if args.keep:
                    os.makedirs(f'{args.keep}/{name}_{n}', exist_ok=True)
                    for i, p in enumerate(full): cv2.imwrite(f'{args.keep}/{name}_{n}/{i:03}.png', cv2.cvtColor(p, cv2.COLOR_RGB2BGR))
    for n, by_clip in rows.items():
        mean = lambda rs: {k: round(float(np.mean([r[k] for r in rs if k in r])), 3) for k in sorted({k for r in rs for k in r if not isinstance(r[k], dict)})}
        by_clip['mean'] = mean(list(by_clip.values())) | {'turned': mean([r['turned'] for r in by_clip.values() if r['turned']])}
        print('MEAN', n, json.dumps(by_clip['mean']))
    json.dump(rows, open(args.out, 'w'), indent=1)


if __name__ == '__main__': main()
