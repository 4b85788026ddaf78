"""The empty gRPC server: ModelInfer answers an empty message, without looking at the request.

python empty_grpc.py PORT
"""

import sys

import grpc  # type: ignore[import-untyped]
import uvloop


async def _empty(_request: bytes, _context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    return b""


async def main(port: int) -> None:
    """Serve until the process is ended."""
    server = grpc.aio.server()
    method = grpc.unary_unary_rpc_method_handler(_empty)
    service = grpc.method_handlers_generic_handler("inference.GRPCInferenceService", {"ModelInfer": method})
    server.add_generic_rpc_handlers((service,))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
