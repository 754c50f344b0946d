#pragma once
/// What only the start needed is given back.

namespace sluice::app {

/// Once the broker serves. Free heap goes back to the system. And starting has touched most pages of program
/// and libraries once (relocation, configuration, certificates); they are let go as the kernel would let them
/// go when memory is short: whichever is needed again comes back from the page cache. Main thread; costs a
/// few milliseconds.
void give_back_startup_memory();

}  // namespace sluice::app
