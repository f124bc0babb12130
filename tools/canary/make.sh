#!/bin/sh
# Speaks the sentence of stepaudio_serve/startup/canary.yaml into canary.wav beside it:
# 16 kHz, mono, 16 bit, peak at -3 dBFS.  Needs espeak-ng and sox.
set -eu

startup=$(cd "$(dirname "$0")/../../stepaudio_serve/startup" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

setting() { sed -n "s/^$1: //p" "$startup/canary.yaml"; }

espeak-ng -v "$(setting voice)" -s "$(setting words_per_minute)" -w "$work/spoken.wav" "$(setting sentence)"
sox -R "$work/spoken.wav" -r 16000 -c 1 -b 16 -e signed-integer "$startup/canary.wav" \
    gain -n -3 silence 1 0.02 0.5% reverse silence 1 0.02 0.5% reverse pad 0.2 0.2
soxi "$startup/canary.wav"
