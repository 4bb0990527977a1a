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

# end_to_end TREE ARGUMENTS...
end_to_end() {
    IATLAS_BUILD=$PWD/$1 /usr/bin/python3 -m pytest tests -q -rs --timeout=300 -o cache_dir="$PWD/build/check/$1.cache" "${@:2}"
}

# check_end_to_end TREE COUNT ARGUMENTS...: COUNT tests at a time.  Up to three that fail are run again, alone: who passes then is
# unsteady and named at the end, to be mended, but does not hide what the others have to say.  What a sanitizer reports is never
# run again.
check_end_to_end() {
    local tree=$1 count=$2
    local log=build/check/$tree.end-to-end.log failed=build/check/$tree.cache/v/cache/lastfailed
    shift 2
    rm -rf "build/check/$tree.cache"
    end_to_end "$tree" "$@" -n "$count" 2>&1 | tee "$log" && return
    [ -f "$failed" ] && [ "$(grep -c ': true' "$failed")" -le 3 ] || die "end-to-end tests failed: $log"
    ! grep -qE '(Address|Leak|Thread)Sanitizer|runtime error:|^bug: ' "$log" || die "a sanitizer or an assertion has reported: $log"
    unsteady+=("$(sed -n 's/^ *"\(.*\)": true,*/\1/p' "$failed")")
    step "those that failed, alone"
    end_to_end "$tree" "$@" --last-failed --last-failed-no-failures none || die "end-to-end tests failed: $log"
}

check() {
    local unsteady=()
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
    check_end_to_end build 3
    step "end-to-end tests, address and undefined sanitizers"
    check_end_to_end build-asan 2 -m "not slow and not peer"
    step "end-to-end tests, thread sanitizer"
    check_end_to_end build-tsan 2 -m "not slow and not peer"
    [ ${#unsteady[@]} = 0 ] || printf '\nUNSTEADY: failed beside others, passed alone:\n%s\n' "${unsteady[@]}"
    say "all checks passed"
}
