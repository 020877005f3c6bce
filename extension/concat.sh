#!/bin/sh
# Prints a script of an extension: the modules given as arguments, behind the guard against running it in psql. Both builds use it.
# The first argument is the statement that the guard tells to use.
printf '%s\n' "\\echo Use \"$1\" to load this file. \\quit"
shift
cat "$@"
