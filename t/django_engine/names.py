# SPDX-License-Identifier: Apache-2.0
"""
The tests of Django 5.1's tests/sessions_tests/tests.py that are about database sessions, by name.

A class has the names that it defines itself and those of the mixin.
"""

MIXIN = """
test_new_session test_get_empty test_get_empty_async test_store test_store_async test_pop
test_pop_async test_pop_default test_pop_default_async test_pop_default_named_argument
test_pop_default_named_argument_async test_pop_no_default_keyerror_raised
test_pop_no_default_keyerror_raised_async test_setdefault test_setdefault_async test_update
test_update_async test_has_key test_has_key_async test_values test_values_async test_keys
test_keys_async test_items test_items_async test_clear test_save test_save_async test_delete
test_delete_async test_flush test_flush_async test_cycle test_cycle_async
test_cycle_with_no_session_cache test_cycle_with_no_session_cache_async
test_save_doesnt_clear_data test_save_doesnt_clear_data_async test_invalid_key
test_invalid_key_async test_session_key_empty_string_invalid test_session_key_too_short_invalid
test_session_key_valid_string_saved test_session_key_is_read_only test_default_expiry
test_default_expiry_async test_custom_expiry_seconds test_custom_expiry_seconds_async
test_custom_expiry_timedelta test_custom_expiry_timedelta_async test_custom_expiry_datetime
test_custom_expiry_datetime_async test_custom_expiry_reset test_custom_expiry_reset_async
test_get_expire_at_browser_close test_get_expire_at_browser_close_async test_decode
test_decode_failure_logged_to_security test_decode_serializer_exception test_actual_expiry
test_actual_expiry_async test_session_load_does_not_create_record
test_session_load_does_not_create_record_async
test_session_save_does_not_resurrect_session_logged_out_in_other_context
test_session_asave_does_not_resurrect_session_logged_out_in_other_context
""".split()

DATABASE = """
test_session_str test_session_get_decoded test_sessionmanager_save test_clearsessions_command
test_aclear_expired
""".split()

CUSTOM = """
test_extra_session_field test_custom_expiry_reset test_custom_expiry_reset_async
test_default_expiry test_default_expiry_async
""".split()

CLASSES = {
    "DatabaseSessionTests": MIXIN + DATABASE,
    "DatabaseSessionWithTimeZoneTests": MIXIN + DATABASE,
    "CustomDatabaseSessionTests": MIXIN + DATABASE + CUSTOM,
}

# Names without a test of that name, and why that is enough.
TWINS = {
    "test_session_asave_does_not_resurrect_session_logged_out_in_other_context":
        "test_session_save_does_not_resurrect_session_logged_out_in_other_context",
    "test_aclear_expired": "test_clearsessions_command",
}
NOT_OURS = {
    "test_extra_session_field":
        "about a model of the site's own, whose Python code fills an additional column from the "
        "session at each save; what does not run the site's Python cannot do that",
}


def twin(name):
    """The test that asserts the same of the function that is not async."""
    if name.endswith("_async"):
        return name[:-len("_async")]
    return TWINS.get(name, name)


def wanted(test_class):
    """The names that `behaviour` has to have in this class."""
    return sorted({twin(name) for name in CLASSES[test_class] if name not in NOT_OURS})
