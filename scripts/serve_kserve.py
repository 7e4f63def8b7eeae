#!/usr/bin/env python3
"""Serves a model that `effigy export --format onnx` wrote by the KServe SDK's own server, over HTTP (with binary tensors) and gRPC.

    serve_kserve.py MODEL.onnx HTTP_PORT GRPC_PORT

Needs kserve, onnxruntime. Keeps no identities: they come with each request.
"""

import sys

PATH, HTTP_PORT, GRPC_PORT = sys.argv[1:]
# The SDK reads what its constructor does not take from here: an identity comes with each request, 13 MB.
sys.argv[1:] = [f"--grpc_max_{way}_message_length={64 << 20}" for way in ("receive", "send")]

import kserve
import onnxruntime
from kserve import InferOutput, InferRequest, InferResponse

TYPES = {"tensor(float)": "FP32", "tensor(uint8)": "UINT8"}


class Effigy(kserve.Model):
    def __init__(self, path):
        super().__init__("effigy")
        self._session = onnxruntime.InferenceSession(path, providers=onnxruntime.get_available_providers())
        self.ready = True

    def get_input_types(self):
        return [{"name": port.name, "datatype": TYPES[port.type], "shape": [-1, *port.shape[1:]]} for port in self._session.get_inputs()]

    def get_output_types(self):
        return [{"name": port.name, "datatype": TYPES[port.type], "shape": [-1, *port.shape[1:]]} for port in self._session.get_outputs()]

    def predict(self, payload: InferRequest, headers=None, response_headers=None) -> InferResponse:
        (picture,) = self._session.run(["picture"], {each.name: each.as_numpy() for each in payload.inputs})
        output = InferOutput("picture", list(picture.shape), "UINT8")
        output.set_data_from_numpy(picture, binary_data=True)
        # As bytes behind the JSON where the request asks for that; the SDK does not carry it over by itself.
        asked = {"use_binary_outputs": payload.use_binary_outputs, "requested_outputs": payload.request_outputs}
        return InferResponse(payload.id, self.name, [output], **asked)


if __name__ == "__main__":
    kserve.ModelServer(http_port=int(HTTP_PORT), grpc_port=int(GRPC_PORT), workers=1).start([Effigy(PATH)])
