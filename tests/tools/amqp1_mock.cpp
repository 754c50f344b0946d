/// amqp1_mock: a small AMQP 1.0 server on Proton's engine as a process of its own, for tests. It keeps what
/// is sent to any address, and does what servers do when they do not take a message. The first line it prints
/// is its port; each command on standard input is answered by one line: "ok", JSON, or "error: ...". It ends
/// when standard input closes.
///
///     amqp1_mock [--host ADDRESS] [--user NAME:PASSWORD] [--certificate FILE --key FILE [--client-ca FILE]]
///     [--product NAME]
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <thread>

#include "tests/tools/amqp1_mock_server.hpp"

int main(int argc, char** argv) {
    using namespace amqp1_mock;
    std::signal(SIGPIPE, SIG_IGN);
    const std::map<std::string, std::string Options::*> known{{"--host", &Options::host},
                                                              {"--user", &Options::user},
                                                              {"--certificate", &Options::certificate},
                                                              {"--key", &Options::key},
                                                              {"--client-ca", &Options::client_ca},
                                                              {"--product", &Options::product}};
    for (int i = 1; i + 1 < argc; i += 2) {
        const auto found = known.find(argv[i]);
        if (found == known.end()) {
            std::cerr << "amqp1_mock: unknown option " << argv[i] << '\n';
            return 2;
        }
        options.*(found->second) = argv[i + 1];
    }
    Server server;
    std::thread commands([&] {
        for (std::string line; std::getline(std::cin, line);)
            if (!line.empty()) server.add_command(line);
        server.add_command("quit");
    });
    server.run();
    std::cout.flush();
    std::_Exit(0);  // the thread may still be reading
}
