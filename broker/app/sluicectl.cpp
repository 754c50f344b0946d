#include <iostream>

#include "app/ctl.hpp"

int main(int argc, char** argv) {
    return sluice::app::answer_ctl(argc, argv, std::cin, std::cout, std::cerr);
}
