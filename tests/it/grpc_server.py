"""A gRPC server of the health protocol: `grpc_server.py PORT FILE`

Says the status whose number stands in FILE; knows the service "shop" and the server as a whole.
Messages are bytes as they are, so that it needs no generated code. (A script called `grpc_health` would
be imported by the library itself, which looks for a module of that name.)
"""

import sys
from concurrent import futures

import grpc


def check(request, context):
    # `string service = 1`: tag, length, text.
    if request[2:].decode() not in ("", "shop"):
        context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
    with open(sys.argv[2]) as file:
        return bytes([8, int(file.read())])


handlers = {"Check": grpc.unary_unary_rpc_method_handler(check)}
server = grpc.server(futures.ThreadPoolExecutor(2))
server.add_generic_rpc_handlers(
    [grpc.method_handlers_generic_handler("grpc.health.v1.Health", handlers)]
)
if server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}") == 0:
    sys.exit("the port is taken")
server.start()
server.wait_for_termination()
