# lib/event: loop and timers, the only includer of libevent.
