# shellcheck shell=bash
# ./dev package: .deb files by debhelper, built in a copy of the tree, checked by lintian.

PACKAGES=build/packages

# The project's files, and packaging/debian as debian/ at the top, where debhelper wants it.
copy_tree() {
    local list
    rm -rf "$1"
    mkdir -p "$1"
    list=$(python3 "$TOOLS/repo.py" all)
    tar -cf - -T - <<<"$list" | tar -xf - -C "$1"
    cp -a "$1/packaging/debian" "$1/debian"
    # debhelper knows where each release of Debian keeps these.
    install -m 644 packaging/systemd/sluice.service packaging/systemd/sluice.sysusers "$1/debian/"
}

check_version() {
    local ours theirs
    ours=$(sed -n 's/^project(sluice VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
    theirs=$(sed -n '1s/^sluice (\([^)]*\)).*/\1/p' packaging/debian/changelog)
    [ "$ours" = "$theirs" ] || die "CMakeLists.txt says version $ours, packaging/debian/changelog $theirs"
}

cmd_package() {
    local code=0
    cmd_setup build package
    check_version
    note "package: build in a copy of the tree (log: $PACKAGES/build.log)"
    copy_tree "$PACKAGES/tree/sluice"
    rm -f "$PACKAGES"/*.deb
    DEB_BUILD_OPTIONS="parallel=$(jobs_count) noautodbgsym" run_logged package "$PACKAGES/build.log" build_packages || code=$?
    if ((code)); then
        tail -n 40 "$PACKAGES/build.log"
        die "the packages were not built"
    fi
    mv "$PACKAGES"/tree/*.deb "$PACKAGES/"
    rm -rf "$PACKAGES/tree"
    note "package: lintian"
    lintian --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs "$PACKAGES"/*.deb || die "lintian found mistakes"
    say "packages:"
    du -h "$PACKAGES"/*.deb | sed 's/^/    /'
    say "install on a gateway: apt install ./sluice_*.deb (and a bridge: ./sluice-bridge-kafka_*.deb)"
}

build_packages() { cd "$PACKAGES/tree/sluice" && nice dpkg-buildpackage --build=binary --no-sign; }
