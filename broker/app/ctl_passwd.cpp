#include "app/ctl_passwd.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <filesystem>
#include <istream>
#include <optional>
#include <ostream>

#include "auth/password_edit.hpp"
#include "auth/text_file.hpp"

namespace sluice::app {
namespace {

using Text = Result<std::string, std::string>;

/// The terminal that we run at, without echo for as long as this lives.
class Terminal {
  public:
    Terminal() : fd_(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)) {
        if (fd_ < 0 || ::tcgetattr(fd_, &before_) != 0) return;
        termios quiet = before_;
        // Without signals too: an interrupt would leave a terminal that does not echo.
        quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO | ISIG);
        usable_ = ::tcsetattr(fd_, TCSAFLUSH, &quiet) == 0;
    }
    ~Terminal() {
        if (usable_) ::tcsetattr(fd_, TCSAFLUSH, &before_);
        if (fd_ >= 0) ::close(fd_);
    }
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;

    bool usable() const { return usable_; }

    /// Nothing at the end of the input, or when it was interrupted.
    std::optional<std::string> ask(const std::string& question) const {
        say(question);
        std::string line;
        for (char c = 0; ::read(fd_, &c, 1) == 1;) {
            if (c != '\n') {
                line.push_back(c);
                continue;
            }
            say("\n");
            const bool interrupted = line.find('\x03') != std::string::npos;
            return interrupted ? std::nullopt : std::optional(line);
        }
        return std::nullopt;
    }

  private:
    void say(const std::string& text) const { (void)!::write(fd_, text.data(), text.size()); }

    int fd_ = -1;
    bool usable_ = false;
    termios before_{};
};

Text ask_password(const std::string& user_name) {
    const Terminal terminal;
    if (!terminal.usable())
        return Err{std::string("there is no terminal to ask at; give the password with --stdin")};
    auto first = terminal.ask(fmt::format("Password of {}: ", user_name));
    auto second = first ? terminal.ask("The same again: ") : std::nullopt;
    const bool same = first && second && *first == *second;
    const bool given = first && second;
    std::string password = same ? *first : "";
    if (first) auth::wipe(*first);
    if (second) auth::wipe(*second);
    if (!given) return Err{std::string("no password was given")};
    if (!same) return Err{std::string("the two passwords are not the same")};
    return password;
}

Text read_password(std::istream& in) {
    std::string line;
    if (!std::getline(in, line)) return Err{std::string("no password came on the standard input")};
    if (line.ends_with('\r')) line.pop_back();
    return line;
}

/// The text of a file that is there; "" for one that is to be made.
Text load(const PasswdOptions& options) {
    std::error_code error;
    if (!options.remove && !std::filesystem::exists(options.file, error) && !error) return std::string();
    return auth::load_text_file(options.file);
}

Text change(const PasswdOptions& options, const std::string& old, std::istream& in) {
    if (options.remove) return auth::without_entry(old, options.file, options.user_name);
    auto password = options.from_stdin ? read_password(in) : ask_password(options.user_name);
    if (!password) return password;
    const auto entry = options.mosquitto
                           ? auth::make_mosquitto_entry(options.user_name, *password)
                           : auth::make_scram_entry(options.user_name, *password, options.iterations);
    auth::wipe(*password);
    if (!entry) return entry;
    return auth::with_entry(old, options.file, *entry);
}

}  // namespace

int change_password(const PasswdOptions& options, std::istream& in, std::ostream& out, std::ostream& err) {
    const auto fail = [&](const std::string& why) {
        err << "sluicectl: " << why << '\n';
        return 1;
    };
    const auto old = load(options);
    if (!old) return fail(old.error());
    const auto fresh = change(options, *old, in);
    if (!fresh) return fail(fresh.error());
    if (const auto saved = auth::save_password_file(options.file, *fresh); !saved) return fail(saved.error());
    out << fmt::format("{}: user `{}` is {}; a running broker reads it on SIGHUP (systemctl reload sluice)\n",
                       options.file, options.user_name, options.remove ? "removed" : "set");
    return 0;
}

}  // namespace sluice::app
