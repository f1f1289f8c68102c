from django.db import migrations
from django.utils.text import slugify


def fill(apps, schema_editor):
    books = apps.get_model("shop", "Book").objects.filter(slug=None)
    for book in books.iterator():
        book.slug = slugify(book.title)
        book.save(update_fields=["slug"])


class Migration(migrations.Migration):
    dependencies = [("shop", "0002_add_slug")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
