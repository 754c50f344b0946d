#pragma once
/// A password file made by mosquitto_passwd 2.0.11 (`-c -b`, `-H sha512`, `-I 2000`), and its passwords.
#include <string_view>

namespace sluice::auth::test {

struct GoldenUser {
    std::string_view name, password;
};

constexpr GoldenUser golden_users[] = {
    {"alice", "wonderland"}, {"bob", "p\xc3\xa4ssw\xc3\xb6rd with spaces"},
    {"carol", "old-style"},  {"dave", ""},
    {"erin", "more rounds"},
};

constexpr std::string_view golden_file =
    "alice:$7$101$CjFlri+pUuiLPTOP$A5gtC3pk+J8+tDdljPo9ZGPRNpVnhwu6VDQ6gY/8L0Y4S6kpY/VYHFGONBxD"
    "CU4TAXpdqKmlGr7Jn/DxDzcMnw==\n"
    "bob:$7$101$tAMS6CEalpnxlH0C$qd11FTClmjtPBJ0DLbZBzuAXcvB8vnjoCG+Rr/1PrUDcKqB3c4JIrRFgtgAntq"
    "J6z2IKob90GtvtlZRQfXowZg==\n"
    "carol:$6$jIqxd7tUulpC8DeZ$KENqzIuu8wXGkC6wyNHV/lmlCXFoi2LGR86dfB13lUnfwgA4BgMAgbP0S5TYj1zH"
    "zLTszN91iTQWDv85ZnuYMA==\n"
    "dave:$6$qCU3mhR9ZfB62Awx$BTdXYzlOeXcfNmH5/IL8rrfEcCvucePvLXdCNnF7WUjg9na97LbqkSL3ECa1JHSNe"
    "4HRHpbsU30AC6PwxwDyjA==\n"
    "erin:$7$2000$eTkgnpkap/v0CZuP$5/VwXdQJmmvw4kywWYrdT+gq0SInQMuqGy6RDTttqV+S0/Y/CVL5Gti6QjJg"
    "HXNn9AoSGSpcr8/SQ4IO+qv2RQ==\n";

}  // namespace sluice::auth::test
