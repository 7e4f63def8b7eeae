"""MLServer's runtime for a model that `effigy export` wrote.

Requests that arrive together run as one batch: max_batch_size and max_batch_time of model-settings.json.
Needs `pip install mlserver onnxruntime` (onnxruntime-gpu for a card).
"""

import asyncio

import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from mlserver.utils import get_model_uri


class EffigyModel(MLModel):
    async def load(self) -> bool:
        path = await get_model_uri(self._settings, wellknown_filenames=["model.onnx"])
        self._session = onnxruntime.InferenceSession(path, providers=onnxruntime.get_available_providers())
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        inputs = {each.name: NumpyCodec.decode_input(each) for each in payload.inputs}
        (picture,) = await asyncio.to_thread(self._session.run, ["picture"], inputs)
        outputs = [NumpyCodec.encode_output("picture", picture)]
        return InferenceResponse(id=payload.id, model_name=self.name, model_version=self.version, outputs=outputs)
