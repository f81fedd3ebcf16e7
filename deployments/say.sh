#!/bin/sh
# Prints a phase of make: minutes and seconds since make began ($STARTED), and what is done now.
now=$(date +%s)
since=$((now - ${STARTED:-now}))
printf '[%2d:%02d] %s\n' $((since / 60)) $((since % 60)) "$*"
