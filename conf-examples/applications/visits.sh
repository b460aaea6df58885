#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A CGI program: a POST counts a visit and notes who received it.
if [ "$REQUEST_METHOD" = POST ]; then
    echo 'Django-Session-Update: {"increment": {"visits": 1}}'
    echo 'Django-Session-Set: received_by=a shell%2C in CGI'
fi
echo 'Content-Type: text/plain'
echo
echo "Visits before this one: ${DJANGO_SESSION_VISITS:-0}"
