# SPDX-License-Identifier: Apache-2.0
"""
Django's own session behaviour, put through our code.

    through_djsession  a Django session engine whose every access to the store is a call of djsession:
                       Django's SessionBase above our formats and our engine
    own_session        a class that looks like Django's SessionStore and is our SessionBase, by way
                       of t/unit/session_driver
    behaviour          what Django's session tests assert, in our words, for either of them
    names              the names of Django's tests, to tell that none is missing
    run                runs `behaviour` against one of them on one database
"""
