# build helpers and checkers
