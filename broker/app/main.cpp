#include <iostream>

#include "app/run.hpp"
#include "bridge/module_loader.hpp"

int main(int argc, char** argv) {
    using namespace sluice;
    bridge::ModuleLoader loader;
    app::ModuleSource modules;
    modules.find_module = [&loader](std::string_view type,
                                    std::string& error) -> const bridge::ConnectorModule* {
        auto loaded = loader.load(type);
        if (loaded) return *loaded;
        error = loaded.error();
        return nullptr;
    };
    modules.installed_types = [&loader] { return loader.installed(); };
    const app::Serve serve = [&modules](const app::Options& options, app::Config config) {
        return app::run(options, std::move(config), modules);
    };
    return app::answer_command_line(argc, argv, modules, serve, std::cout, std::cerr);
}
