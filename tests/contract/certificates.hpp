#pragma once
/// Certificates for the peers and for the connectors under test.
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace sluice::bridge::test {

/// A folder of the process's own, removed at its end.
class SecurityFolder {
  public:
    SecurityFolder() : path_((std::filesystem::temp_directory_path() / "sluice-security-XXXXXX").string()) {
        if (!::mkdtemp(path_.data())) throw std::runtime_error("mkdtemp");
    }
    ~SecurityFolder() {
        std::error_code error;
        std::filesystem::remove_all(path_, error);
    }
    SecurityFolder(const SecurityFolder&) = delete;
    SecurityFolder& operator=(const SecurityFolder&) = delete;
    std::string file(const std::string& name) const { return path_ + "/" + name; }
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

inline void run(const std::string& command) {
    if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

/// certs/make-dev-certs, and beside it: `elsewhere`, a server's certificate for another host; `locked.key`,
/// the key of device-0001 under the pass phrase "hunter2-lock".
inline const SecurityFolder& certificates() {
    static const SecurityFolder folder;
    static const bool made = [] {
        run(SLUICE_SOURCE_DIR "/certs/make-dev-certs --devices 2 --with-wrong-ca --with-expired --out " +
            folder.path() + " >/dev/null");
        const std::string in = "cd " + folder.path() + " && ";
        run(in +
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 10 -subj "
            "/CN=elsewhere "
            "-CA ca.crt -CAkey ca.key -addext subjectAltName=DNS:elsewhere.example "
            "-addext basicConstraints=CA:FALSE -keyout elsewhere.key -out elsewhere.crt 2>/dev/null");
        run(in + "openssl pkey -in device-0001.key -aes256 -passout pass:hunter2-lock -out locked.key");
        return true;
    }();
    static_cast<void>(made);
    return folder;
}
inline std::string certificate_file(const std::string& name) {
    return certificates().file(name);
}

}  // namespace sluice::bridge::test
