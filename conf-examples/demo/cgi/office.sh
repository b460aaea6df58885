#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Behind "Require user grace".
printf 'Content-Type: text/plain\n\nThe office is open to %s.\n' "$REMOTE_USER"
