# SPDX-License-Identifier: Apache-2.0
"""User models of a site's own. A test names one of them in AUTH_USER_MODEL and makes its tables."""
import uuid

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import PermissionsMixin
from django.db import models


class Person(AbstractBaseUser, PermissionsMixin):
    """Who logs in by an address; the key is a UUID."""
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.EmailField(unique=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    USERNAME_FIELD = EMAIL_FIELD = "email"


class Member(AbstractBaseUser):
    """No more than there must be; the login name, a text, is the key."""
    number = models.CharField(max_length=40, primary_key=True)
    USERNAME_FIELD = "number"


class Customer(AbstractBaseUser, PermissionsMixin):
    """In a table, and with columns, of other names than Django would give."""
    no = models.BigAutoField(primary_key=True, db_column="customer_no")
    login = models.CharField(max_length=40, unique=True, db_column="login_name")
    USERNAME_FIELD = "login"

    class Meta:
        db_table = "kunden"
