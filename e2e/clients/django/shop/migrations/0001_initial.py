import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


def key():
    return ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"))


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Author", [key(), ("name", models.CharField(max_length=100, unique=True))]),
        migrations.CreateModel("Tag", [key(), ("name", models.CharField(max_length=50, unique=True))]),
        migrations.CreateModel(
            "Book",
            [
                key(),
                ("title", models.CharField(max_length=200)),
                ("pages", models.PositiveIntegerField(default=0)),
                ("price", models.DecimalField(decimal_places=2, default=0, max_digits=8)),
                ("facts", models.JSONField(default=dict)),
                ("words", django.contrib.postgres.fields.ArrayField(models.TextField(), default=list, size=None)),
                ("in_print", django.contrib.postgres.fields.DateRangeField(null=True)),
                ("added_at", models.DateTimeField(auto_now_add=True)),
                ("author", models.ForeignKey("shop.author", django.db.models.deletion.CASCADE, related_name="books")),
                ("tags", models.ManyToManyField("shop.Tag")),
            ],
        ),
    ]
