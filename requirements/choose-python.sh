#!/bin/sh
# Prints the path of the Python >= 3.11 that the project's environment is made from: `python3`, unless another one of
# this machine is a good deal faster. Most of the exchange's work is done by the interpreter, and one that was built
# without profile-guided optimisation takes about a third longer for it.
handicap=0.85
for name in python3 /usr/bin/python3 python3.13 python3.12; do
	path=$(command -v "$name") || continue
	seconds=$("$path" -c '
import sys
if sys.version_info < (3, 11):
    sys.exit(1)
import ensurepip, venv
from time import process_time
from timeit import repeat
work = "for n in range(99): s = str(n); d = {s: n}; f(len(s) + d[s])"
print(min(repeat(work, "def f(x): return (x, x * 2)", timer=process_time, number=300, repeat=15)))
' 2>/dev/null) || continue
	echo "$seconds $handicap $path"
	handicap=1
done | awk '{ $1 *= $2; $2 = ""; print }' | sort -n | head -n 1 | cut -d " " -f 3-
