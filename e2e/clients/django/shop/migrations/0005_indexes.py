from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # CREATE INDEX CONCURRENTLY
    dependencies = [("shop", "0004_slug_is_unique")]
    operations = [
        AddIndexConcurrently("book", models.Index(fields=["-added_at"], name="newest_first")),
        AddIndexConcurrently("book", GinIndex(fields=["facts"], name="facts_gin")),
    ]
