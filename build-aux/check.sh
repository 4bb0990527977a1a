# check.sh: every test there is.  Part of ./quickstart; .ci/run calls it too.

# timed NAME COMMAND...: runs it with its output in build/check/NAME.log; a failure shows the end of that and stops.
timed() {
    local name=$1 began=$SECONDS
    shift
    mkdir -p build/check
    if ! "$@" >"build/check/$name.log" 2>&1; then
        tail -n 60 "build/check/$name.log"
        die "$name failed after $((SECONDS - began)) s: build/check/$name.log"
    fi
    say "$name: ok ($((SECONDS - began)) s)"
}

check_format() {
    git ls-files '*.c' '*.h' | xargs clang-format-14 --dry-run -Werror
}

check_end_to_end() {
    IATLAS_BUILD=$PWD/$1 /usr/bin/python3 -m pytest tests -n 2 -q -rs --timeout=300 -p no:cacheprovider "${@:2}"
}

check() {
    need_packages $BUILD_PACKAGES $RUN_PACKAGES $TEST_PACKAGES
    [ ! -d .git ] || timed format check_format
    timed peers build-aux/fetch-peers $PEERS
    timed build configure_and_make build --enable-werror CFLAGS="-O2 -g" -- all
    timed unit make -s -j2 -C build check
    timed distcheck make -s -C build distcheck
    timed build-asan configure_and_make build-asan --enable-werror --enable-sanitizers=address,undefined \
        CFLAGS="-O1 -g" -- all
    timed unit-asan make -s -j2 -C build-asan check
    timed build-tsan configure_and_make build-tsan --enable-werror --enable-sanitizers=thread CFLAGS="-O1 -g" -- all
    timed unit-tsan make -s -j2 -C build-tsan check
    step "end-to-end tests"
    check_end_to_end build
    step "end-to-end tests, address and undefined sanitizers"
    check_end_to_end build-asan -m "not slow and not peer"
    step "end-to-end tests, thread sanitizer"
    check_end_to_end build-tsan -m "not slow and not peer"
    say "all checks passed"
}
