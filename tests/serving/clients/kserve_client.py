"""A caller with KServe's own client, run in an environment that has it: `kserve_client.py URL ADDRESS CASE`.

CASE is the file that conftest.py writes. What it got goes to standard output as one JSON object.
"""

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import httpx
import numpy as np
from kserve import (  # type: ignore[import-not-found]
    InferenceGRPCClient,
    InferenceRESTClient,
    InferInput,
    InferRequest,
    RESTConfig,
)

TYPES: dict[str, tuple[str, Any]] = {
    "age": ("FP64", np.float64),
    "visits": ("INT64", np.int64),
    "smoker": ("BOOL", np.bool_),
    "exercise": ("BYTES", np.object_),
}


def request(columns: dict[str, list[Any]], *, binary: bool) -> InferRequest:
    """The rows as KServe sends them: with plain values, or as raw bytes."""
    inputs = []
    for name, (datatype, dtype) in TYPES.items():
        values = columns[name]
        tensor = InferInput(name, [len(values), 1], datatype, data=None if binary else values)
        if binary:
            tensor.set_data_from_numpy(np.array(values, dtype).reshape(-1, 1), binary_data=True)
        inputs.append(tensor)
    return InferRequest("toy", inputs, request_id="from-kserve")


def predictions(response: Any) -> list[float]:
    """The predictions in KServe's response."""
    values: list[float] = response.outputs[0].as_numpy().ravel().tolist()
    return values


async def over_rest(url: str, columns: dict[str, list[Any]]) -> dict[str, Any]:
    """What its REST client gets."""
    found: dict[str, Any] = {}
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
    for way in ("json", "binary"):
        headers: dict[str, str] = {}
        answer = await client.infer(
            url,
            request(columns, binary=way == "binary"),
            model_name="toy",
            headers={"x-request-id": "kserve-1"},
            response_headers=headers,
        )
        found[way] = {"predictions": predictions(answer), "id": answer.id, "request_id": headers["x-request-id"]}
    found["live"] = await client.is_server_live(url)
    found["ready"] = await client.is_server_ready(url) and await client.is_model_ready(url, "toy")
    try:
        await client.infer(url, request({**columns, "exercise": ["much"] * len(columns["age"])}, binary=False), model_name="toy")
    except httpx.HTTPStatusError as error:
        found["invalid"] = [error.response.status_code, str(error)]
    await client.close()
    return found


async def over_grpc(address: str, columns: dict[str, list[Any]]) -> dict[str, Any]:
    """What its gRPC client gets."""
    found: dict[str, Any] = {}
    async with InferenceGRPCClient(address) as client:
        for way in ("typed", "raw"):
            answer = await client.infer(request(columns, binary=way == "raw"))
            found[way] = {"predictions": predictions(answer), "id": answer.id}
        found["live"] = await client.is_server_live()
        found["ready"] = await client.is_server_ready() and await client.is_model_ready("toy")
        try:
            await client.infer(request({**columns, "exercise": ["much"] * len(columns["age"])}, binary=False))
        except grpc.RpcError as error:
            found["invalid"] = [error.code().name, error.details()]
    return found


if __name__ == "__main__":
    logging.disable()
    url, address, case = sys.argv[1:]
    columns = json.loads(Path(case).read_text())
    rest, over = asyncio.run(over_rest(url, columns)), asyncio.run(over_grpc(address, columns))
    print(json.dumps({"rest": rest, "grpc": over}))  # noqa: T201
