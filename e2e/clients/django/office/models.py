"""What is there already, see stack/sql/app.sql."""

from django.db import models


class Customer(models.Model):
    name = models.TextField()
    email = models.TextField(unique=True)

    class Meta:
        managed = False
        db_table = "customers"


class Order(models.Model):
    customer = models.ForeignKey(Customer, models.DO_NOTHING, related_name="orders")
    product = models.TextField()
    quantity = models.IntegerField()
    amount = models.DecimalField(max_digits=10, decimal_places=2)
    status = models.TextField(default="open")
    ordered_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "orders"


class Secret(models.Model):
    name = models.TextField(unique=True)
    value = models.TextField()

    class Meta:
        managed = False
        db_table = "secrets"
