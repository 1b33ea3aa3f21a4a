#!/bin/sh
# Print the path of the Python >= 3.11 for the project's environment; print nothing if there is none with venv.
#
# The interpreter does most of the exchange's work, and profile-guided optimisation (PGO) makes it about a third faster.
# So a PGO build is preferred, link-time optimisation (LTO) comes second, and then the order below decides.
# `sh choose-python.sh --describe PYTHON` prints path, version and build of one Python.
facts='
import sys
import sysconfig

options = sysconfig.get_config_var("CONFIG_ARGS") or ""
# Debian and its descendants run the PGO build without the option; their own wheel folder identifies them.
pgo = "--enable-optimizations" in options or "--with-wheel-pkg-dir=/usr/share/python-wheels" in options
lto = "--with-lto" in options
if sys.argv[1] == "rank":
    import ensurepip, venv

    sys.exit(1) if sys.version_info < (3, 11) else print(2 * pgo + lto)
else:
    build = "PGO and LTO" if pgo and lto else "PGO" if pgo else "no PGO: about a third slower" if not lto else "LTO, no PGO"
    print(f"{sys.executable} {sys.version.split()[0]} ({build})")
'
if [ "$1" = --describe ]; then
	exec "$2" -c "$facts" describe
fi
best=-1
for name in python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11; do
	path=$(command -v "$name") || continue
	rank=$("$path" -c "$facts" rank 2>/dev/null) || continue
	if [ "$rank" -gt "$best" ]; then
		best=$rank chosen=$path
	fi
done
[ "$best" -lt 0 ] || echo "$chosen"
