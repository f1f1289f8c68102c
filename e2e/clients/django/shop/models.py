"""What the migrations make."""

from django.contrib.postgres.fields import ArrayField, DateRangeField
from django.contrib.postgres.indexes import GinIndex
from django.db import models


class Author(models.Model):
    name = models.CharField(max_length=100, unique=True)


class Tag(models.Model):
    name = models.CharField(max_length=50, unique=True)


class Book(models.Model):
    author = models.ForeignKey(Author, models.CASCADE, related_name="books")
    tags = models.ManyToManyField(Tag)
    title = models.CharField(max_length=200)
    slug = models.CharField(max_length=200)
    pages = models.PositiveIntegerField(default=0)
    price = models.DecimalField(max_digits=8, decimal_places=2, default=0)
    facts = models.JSONField(default=dict)
    words = ArrayField(models.TextField(), default=list)
    in_print = DateRangeField(null=True)
    added_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["slug"], name="one_slug_a_book")]
        indexes = [
            models.Index(fields=["-added_at"], name="newest_first"),
            GinIndex(fields=["facts"], name="facts_gin"),
        ]
