#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Make ./configure. Needed in a clone only; a release has it.

set -e
cd "$(dirname "$0")"

need() {
    if ! command -v "$1" >/dev/null 2>&1; then
        echo "autogen.sh: $1 not found: install $2" >&2
        exit 1
    fi
}
need autoreconf autoconf
need automake automake
need libtoolize libtool
need pkg-config pkg-config

mkdir -p m4
exec autoreconf --install --force "$@"
