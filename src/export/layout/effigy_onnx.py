"""MLServer's runtime for a model that `effigy export` wrote.

Requests that arrive together run as one batch: max_batch_size and max_batch_time of model-settings.json.
Tensors come as arrays, or as BYTES with one element a picture (little-endian; base64 over REST), which spares MLServer lists of
numbers. Where identities are inputs, their tensors are kept and named by `identity`, the SHA-256 of them all in the order of their
names: a request without them shows the one it names, and one that is not known fails with "unknown identity".
Needs `pip install mlserver onnxruntime` (onnxruntime-gpu for a card).
"""

import asyncio
import base64
import collections
import hashlib
import os
import time

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.errors import MLServerError
from mlserver.types import InferenceRequest, InferenceResponse, Parameters, ResponseOutput
from mlserver.utils import get_model_uri

OF_IDENTITY = ["embedding", "features128", "features32", "features64", "photo", "portrait64"]
# 12 MB each; the one that was shown longest ago makes room.
MOST_IDENTITIES = int(os.environ.get("EFFIGY_MOST_IDENTITIES", "256"))
TYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}


class EffigyModel(MLModel):
    async def load(self) -> bool:
        path = await get_model_uri(self._settings, wellknown_filenames=["model.onnx"])
        self._session = onnxruntime.InferenceSession(path, providers=onnxruntime.get_available_providers())
        self._ports = {port.name: (TYPES[port.type], port.shape[1:]) for port in self._session.get_inputs()}
        self._identities = collections.OrderedDict()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        begin = time.perf_counter()
        inputs = {each.name: each for each in payload.inputs}
        names = [self._bytes(value).decode() for value in inputs.pop("identity").data] if "identity" in inputs else None
        inputs = {name: self._rows(each) for name, each in inputs.items()}
        if names is not None:
            self._name_identities(inputs, names)
        # A batch joins each input's values by where they stand: with fewer of one, someone would get another's.
        if len({len(rows) for rows in inputs.values()}) != 1:
            raise MLServerError("expected as many values of each input as pictures", status_code=422)
        stacked = {name: rows[0][None] if len(rows) == 1 else np.stack(rows) for name, rows in inputs.items()}
        (picture,) = await asyncio.to_thread(self._session.run, ["picture"], stacked)
        # Not an identity's tensor: of these a batch may have fewer than pictures.
        sample = next(each for each in payload.inputs if each.name not in OF_IDENTITY)
        if sample.datatype != "BYTES":
            output = NumpyCodec.encode_output("picture", picture)
        else:
            # A batch may join requests over REST (base64) with some over gRPC; each is answered as it asked.
            rows = [
                base64.b64encode(each.tobytes()).decode() if isinstance(asked, str) else each.tobytes()
                for each, asked in zip(picture, sample.data, strict=True)
            ]
            output = ResponseOutput(name="picture", datatype="BYTES", shape=[len(rows), 1], data=rows)
        spent = Parameters(server_us=round((time.perf_counter() - begin) * 1e6))
        return InferenceResponse(
            id=payload.id, model_name=self.name, model_version=self.version, outputs=[output], parameters=spent
        )

    def _bytes(self, value):
        return base64.b64decode(value) if isinstance(value, str) else value

    def _rows(self, each):
        """One array for each picture."""
        kind, shape = self._ports[each.name]
        if each.datatype != "BYTES":
            return list(NumpyCodec.decode_input(each).astype(kind, copy=False).reshape(-1, *shape))
        return [np.frombuffer(self._bytes(value), kind).reshape(shape) for value in each.data]

    def _name_identities(self, inputs, names):
        """Keeps identities that came along and puts those that are named into `inputs`.

        A batch joins requests with and without them, so that they are found by what they are, not by where they stand.
        """
        came = [inputs.pop(name) for name in OF_IDENTITY if name in inputs]
        for tensors in zip(*came, strict=True):
            digest = hashlib.sha256()
            for tensor in tensors:
                digest.update(tensor)
            self._identities[digest.hexdigest()] = tensors
        missing = [name for name in names if name not in self._identities]
        if missing:
            raise MLServerError(f"unknown identity {', '.join(missing)}", status_code=422)
        for name in names:
            self._identities.move_to_end(name)
        while len(self._identities) > max(MOST_IDENTITIES, len(names)):
            self._identities.popitem(last=False)
        for i, name in enumerate(OF_IDENTITY):
            inputs[name] = [self._identities[whom][i] for whom in names]
