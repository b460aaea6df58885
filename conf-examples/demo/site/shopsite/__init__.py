# SPDX-License-Identifier: Apache-2.0
"""The demo's Django project. It knows nothing of mod_django_session."""
