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

/// Before anybody is asked for a password: whether there is a file to read, where there must be one.
Text check_readable(const PasswdOptions& options) {
    std::error_code error;
    if (!options.remove && !std::filesystem::exists(options.file, error) && !error) return std::string();
    return auth::load_text_file(options.file);
}

/// The line to be written; "" to remove one.
Text make_entry(const PasswdOptions& options, std::istream& in) {
    if (options.remove) return std::string();
    auto password = options.from_stdin ? read_password(in) : ask_password(options.user_name);
    if (!password) return password;
    auto entry = options.mosquitto ? auth::make_mosquitto_entry(options.user_name, *password)
                                   : auth::make_scram_entry(options.user_name, *password, options.iterations);
    auth::wipe(*password);
    return entry;
}

}  // namespace

int change_password(const PasswdOptions& options, std::istream& in, std::ostream& out, std::ostream& err) {
    const auto fail = [&](const std::string& why) {
        err << "sluicectl: " << why << '\n';
        return 1;
    };
    if (const auto readable = check_readable(options); !readable) return fail(readable.error());
    const auto entry = make_entry(options, in);
    if (!entry) return fail(entry.error());
    const auto saved = auth::edit_password_file(options.file, [&](std::string_view text) {
        return options.remove ? auth::without_entry(text, options.file, options.user_name)
                              : auth::with_entry(text, options.file, *entry);
    });
    if (!saved) return fail(saved.error());
    out << fmt::format("{}: user `{}` is {}; a running broker reads it on SIGHUP (systemctl reload sluice)\n",
                       options.file, options.user_name, options.remove ? "removed" : "set");
    return 0;
}

}  // namespace sluice::app
