#!/bin/sh
# Prints the install script: the modules given as arguments, behind the guard against running it in psql. Both builds use it.
printf '%s\n' '\echo Use "CREATE EXTENSION pgqueue" to load this file. \quit'
cat "$@"
