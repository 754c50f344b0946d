#pragma once
/// tcp_connect: a connected socket, for connectors whose client library does not connect by itself, or not
/// with an ear for stop().
#include <string>

#include "base/result.hpp"
#include "bridge/server_address.hpp"
#include "bridge/worker.hpp"

namespace sluice::bridge {

/// A non-blocking socket with TCP_NODELAY and keepalive, which is the caller's. The connector's thread;
/// breaks off at `deadline` and when the worker is to stop, though not while a name is being resolved. The
/// error is one line for the operator and names the server.
Result<int, std::string> tcp_connect(const ServerAddress& server, Worker& worker,
                                     Steady::time_point deadline);

/// Waits until `fd` is ready for one of `events` (of poll()). Zero, or the errno of the wait: ETIMEDOUT,
/// ECANCELED when the worker is to stop.
int await_socket(int fd, short events, Worker& worker, Steady::time_point deadline);

}  // namespace sluice::bridge
