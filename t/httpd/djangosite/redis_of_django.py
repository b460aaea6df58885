# SPDX-License-Identifier: Apache-2.0
"""
The cache backend for Redis that Django has from 4.0 on, as far as sessions use it, for the older
Django of these tests: the same commands with the same bytes. t/vectors/cache_values.json has what the
real one stores.
"""
import pickle

import redis
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache


class RedisCache(BaseCache):
    def __init__(self, location, params):
        super().__init__(params)
        self.client = redis.Redis.from_url(location)

    def store(self, key, value, timeout, **condition):
        seconds = self.get_backend_timeout(timeout)
        if seconds == 0:
            return bool(self.client.delete(key))
        text = value if type(value) is int else pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        return bool(self.client.set(key, text, ex=seconds, **condition))

    def get_backend_timeout(self, timeout=DEFAULT_TIMEOUT):
        timeout = self.default_timeout if timeout == DEFAULT_TIMEOUT else timeout
        return None if timeout is None else max(0, int(timeout))

    def add(self, key, value, timeout=DEFAULT_TIMEOUT, version=None):
        return self.store(self.make_key(key, version), value, timeout, nx=True)

    def set(self, key, value, timeout=DEFAULT_TIMEOUT, version=None):
        self.store(self.make_key(key, version), value, timeout)

    def get(self, key, default=None, version=None):
        text = self.client.get(self.make_key(key, version))
        if text is None:
            return default
        return int(text) if text.lstrip(b"-").isdigit() else pickle.loads(text)

    def delete(self, key, version=None):
        return bool(self.client.delete(self.make_key(key, version)))

    def has_key(self, key, version=None):
        return bool(self.client.exists(self.make_key(key, version)))
