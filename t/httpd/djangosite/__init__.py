# SPDX-License-Identifier: Apache-2.0
"""The Django site that end-to-end tests put beside the module. Its settings are in settings.py."""
